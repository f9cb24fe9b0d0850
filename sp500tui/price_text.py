"""Prices and their changes as text, with as many digits as their magnitude requires."""

from __future__ import annotations

from decimal import Decimal

NOTHING = "–"
"""Placeholder for a missing value."""
_MOST_DECIMALS = 8
_SIGNIFICANT = 4
"""Digits of a price below a cent."""


def price_text(price: Decimal | None) -> str:
    """A price with thousands separators.

    Two decimals, four below one, up to eight below a cent for four significant digits (`0.00001234`), and a power
    of ten where eight do not show two of them (`1.2E-9`).
    """
    if price is None:
        return NOTHING
    size = abs(price)
    if size >= 1 or not size:
        return f"{price:,.2f}"
    if size >= Decimal("0.01"):
        return f"{price:.4f}"
    decimals = min(_MOST_DECIMALS, _SIGNIFICANT - 1 - size.adjusted())
    if size.adjusted() < 1 - _MOST_DECIMALS:
        return f"{price.normalize():.1E}"
    return f"{price:.{decimals}f}".rstrip("0")


def change_text(change: Decimal | None, price: Decimal | None) -> str:
    """A difference of prices with its sign: two decimals, more if the price itself is below one."""
    if change is None:
        return NOTHING
    size = abs(change)
    if not size:
        return "0.00"
    fine = price is not None and abs(price) < 1
    text = price_text(size) if fine else f"{size:,.2f}"
    if not text.strip("0.,"):
        return text
    return ("−" if change < 0 else "+") + text
