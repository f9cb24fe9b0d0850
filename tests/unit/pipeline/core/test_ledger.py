"""The conservation equation as text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sp500tui.pipeline.core.ledger import Ledger

FEW = st.integers(0, 2_000)


def test_the_summary_omits_empty_places() -> None:
    ledger = Ledger(fetched=1_503, stored=1_480, duplicate=10, dead=13)
    assert ledger.summary == "fetched 1,503 = stored 1,480 + duplicate 10 + dead 13"
    assert Ledger().summary == "fetched 0 = stored 0"


@given(FEW, FEW, FEW, FEW, FEW, FEW)
def test_the_summary_adds_up(
    stored: int, duplicate: int, queued: int, in_flight: int, spooled: int, dead: int
) -> None:
    total = stored + duplicate + queued + in_flight + spooled + dead
    ledger = Ledger(total, stored, duplicate, queued, in_flight, spooled, dead)
    left, *right = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", ledger.summary))
    assert left == sum(right) == total
