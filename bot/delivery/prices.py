"""Prices in words. Pure."""

from __future__ import annotations

from bot.delivery.words import credits_text


def price_text(prices: tuple[int, int] | None) -> str:
    """``20 credits``, ``20 to 90 credits``; what is free is called so."""
    if prices is None:
        return "price unknown"
    lowest, highest = prices
    if highest == 0:
        return "free"
    return credits_text(lowest) if lowest == highest else f"{lowest:,} to {credits_text(highest)}"
