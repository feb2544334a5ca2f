"""Providers of videos behind one contract. Knows nothing of Discord, credits or SQL."""
