"""Prices, differences and ages as the cells of the price table word them."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from sp500tui.price_text import NOTHING


def format_change(value: Decimal | float | None, unit: str = "") -> str:
    """A difference with its sign, two decimals and its unit; the minus sign is as wide as the plus."""
    if value is None:
        return NOTHING
    text = f"{value:+,.2f}"
    if not text.strip("+-0.,"):
        return text[1:] + unit
    return text.replace("-", "−") + unit


def arrow(value: Decimal | float | None) -> str:
    """The sign that stands beside the colour of a change."""
    if not value:
        return " "
    return "▲" if value > 0 else "▼"


def format_volume(count: int) -> str:
    """A number of shares with one decimal of its unit, so that a column keeps its point: `412.0 k`, `57.6 M`."""
    if count < 1000:
        return str(count)
    scaled = float(count)
    unit = ""
    for unit in "kMGT":  # noqa: B007 - the last unit stands
        scaled /= 1000
        if scaled < 999.95:
            break
    return f"{scaled:.1f} {unit}"


@lru_cache(maxsize=512)
def format_age(seconds: int) -> str:
    """An age in its largest whole unit, never rounded up: `7 s`, `12 min`, `3 h`, `5 d`."""
    if seconds < 60:
        return f"{max(0, seconds)} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 172_800:
        return f"{seconds // 3600} h"
    return f"{seconds // 86_400} d"
