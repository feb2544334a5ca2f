from __future__ import annotations

import pytest

from bot.delivery.prices import price_text


@pytest.mark.parametrize(
    ("prices", "text"),
    [
        (None, "price unknown"),
        ((0, 0), "free"),
        ((0, 1), "0 to 1 credit"),
        ((1, 1), "1 credit"),
        ((20, 20), "20 credits"),
        ((20, 90), "20 to 90 credits"),
        ((1000, 1_000_000), "1,000 to 1,000,000 credits"),
    ],
)
def test_prices_are_told_as_people_do(prices: tuple[int, int] | None, text: str) -> None:
    assert price_text(prices) == text
