"""Prices in words. Pure."""

from __future__ import annotations

from bot.delivery.words import credits_text
from bot.languages import _


def price_text(prices: tuple[int, int] | None) -> str:
    """``20 credits``, ``20 to 90 credits``; what is free is called so."""
    if prices is None:
        return _("price unknown")
    lowest, highest = prices
    if highest == 0:
        return _("free")
    if lowest == highest:
        return credits_text(lowest)
    return _("{lowest} to {highest}").format(lowest=f"{lowest:,}", highest=credits_text(highest))
