"""Splits and dividends in the format of `v8/finance/chart`."""

from __future__ import annotations

import re

from sp500tui.simulator.market.actions import dividends, splits
from sp500tui.simulator.market.calendar import local_date
from sp500tui.simulator.market.model import Instrument


def chart_events(instrument: Instrument, wanted: str, start: float, end: float) -> dict[str, object]:
    """The requested kinds of events from `start` up to, not including, `end`, in seconds since 1970."""
    kinds = set(re.split(r"[,|]", wanted))
    found: dict[str, object] = {}
    if kinds & {"div", "dividends"}:
        paid = {
            str(each.time): {"amount": float(f"{each.amount:.6g}"), "date": each.time}
            for each in dividends(instrument, local_date(start))
            if start <= each.time < end
        }
        found |= {"dividends": paid} if paid else {}
    if kinds & {"split", "splits"}:
        done = {
            str(each.time): {
                "date": each.time,
                "numerator": float(each.numerator),
                "denominator": float(each.denominator),
                "splitRatio": f"{each.numerator}:{each.denominator}",
            }
            for each in splits(instrument)
            if start <= each.time < end
        }
        found |= {"splits": done} if done else {}
    return found
