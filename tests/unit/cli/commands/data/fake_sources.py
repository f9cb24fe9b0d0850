"""Fake sources for the tests of commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from sp500tui.cli.commands.data import constituents, quote
from sp500tui.errors import SourceError
from sp500tui.model import Constituent, FxRate, MarketState, Quote
from sp500tui.sources.request_phase import OnPhase, ignore_phase
from sp500tui.sources.yahoo.parsing import FetchResult

NOW = datetime(2026, 5, 4, 15, 30, tzinfo=UTC)


def a_constituent(symbol: str, name: str = "Company") -> Constituent:
    return Constituent(
        symbol, name, "Energy", "Oil", "Houston, Texas", date(2001, 8, 7), "0001136869", "1927"
    )


def a_quote(symbol: str) -> Quote:
    return Quote(
        symbol, Decimal("187.2200"), Decimal("-3.41"), None, "USD", NOW, MarketState.REGULAR, 1_234_567, NOW
    )


class FakeYahoo:
    """Returns a quote for every known symbol, after the given number of failures."""

    def __init__(self, unknown: Sequence[str] = (), failures: Sequence[SourceError] = ()) -> None:
        self.unknown = unknown
        self.failures = list(failures)
        self.batches: list[tuple[str, ...]] = []

    def open(self) -> None:
        return

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(tuple(symbols))
        return FetchResult(
            tuple(a_quote(symbol) for symbol in reversed(symbols) if symbol not in self.unknown),
            tuple(FxRate(base, target, Decimal("6.42"), NOW) for base, target in fx_pairs),
            {symbol: "Yahoo knows no such symbol" for symbol in symbols if symbol in self.unknown},
        )


def answer_with(monkeypatch: pytest.MonkeyPatch, **sources: object) -> None:
    @contextmanager
    def opened(_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(**sources)

    monkeypatch.setattr(constituents, "opened_sources", opened)
    monkeypatch.setattr(quote, "opened_sources", opened)
