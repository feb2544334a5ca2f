"""The parts of ``/wan-admin``."""
