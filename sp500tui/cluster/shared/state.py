"""What the nodes learn from each other: exchange rates, symbols without a price, the list of constituents."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import fields, loads, report
from sp500tui.logs.redaction import plain
from sp500tui.model import Constituent, FxRate
from sp500tui.pipeline.core.snapshot import Health, ListSnapshot
from sp500tui.pipeline.stages.fetcher import MissingSymbols
from sp500tui.pipeline.stages.fx import FxRates, is_plausible, major_unit
from sp500tui.pipeline.stages.scraper import CurrentConstituents, ListSource
from sp500tui.pipeline.stages.source_health import SourceWatch

_TIMEOUT = 2.0
_CURRENCY = re.compile("[A-Za-z]{3}")
_MAGNITUDE = 12
"""Digits before or after the point that a rate may have."""
_AHEAD = timedelta(days=1)
"""How far a rate's time may lie in the future: the clocks of nodes differ."""


class SharedFxRates(FxRates):
    """Rates that one node believed are every node's: a converter need not be where the requests are made."""

    def __init__(self, target: str, broker: Broker) -> None:
        super().__init__(target)
        self._broker = broker

    def update(self, rates: Iterable[FxRate]) -> None:
        """See `FxRates.update`; what is believed is told to the others before any quote that needs it."""
        before = self._rates()
        super().update(rates)
        news = {base: rate for base, rate in self._rates().items() if before.get(base) != rate}
        if news:
            arguments = [part for base, rate in news.items() for part in (base, _rate_text(rate))]
            self._broker.run("note", [self._key()], arguments)

    def is_pending(self, currencies: Iterable[str]) -> bool:
        """See `FxRates.is_pending`; a rate that is not known here is looked up first."""
        bases = {major_unit(currency)[0] for currency in currencies}
        self.register(bases)
        known = self._rates()
        if any(base != self.target and base not in known for base in bases):
            flat = self._broker.run("look_up", [self._key()], [])
            self.adopt(fields(flat))
        return super().is_pending(bases)

    def adopt(self, rates: Mapping[str, bytes]) -> None:
        """Take over the others' rates where they are newer."""
        found = [_rate_of(base, self.target, data) for base, data in rates.items()]
        known = [rate for rate in found if rate is not None]
        self.register(rate.base for rate in known)
        with self._changed:
            for rate in known:
                pair = self._pairs.get(rate.base)
                if pair is None or (pair.rate is not None and pair.rate.time >= rate.time):
                    continue
                pair.rate, pair.received, pair.rejections = rate, self._clock(), 0
            self._changed.notify_all()

    def _rates(self) -> dict[str, FxRate]:
        with self._changed:
            return {base: pair.rate for base, pair in self._pairs.items() if pair.rate is not None}

    def _key(self) -> str:
        return self._broker.key("fx", self.target)


def _rate_text(rate: FxRate) -> str:
    return json.dumps([str(rate.rate), rate.time.isoformat()])


def _rate_of(base: str, target: str, data: bytes) -> FxRate | None:
    """The rate of another node; None for one that cannot be read or makes no sense."""
    try:
        digits, moment = loads(data)
        rate, time = Decimal(digits), datetime.fromisoformat(moment)
        # A time of the far future would keep out every later rate.
        makes_sense = (
            _CURRENCY.fullmatch(base) is not None
            and is_plausible(None, rate)
            and abs(rate.adjusted()) <= _MAGNITUDE
            and time <= datetime.now(UTC) + _AHEAD
        )
    except (ValueError, TypeError, InvalidOperation):
        makes_sense = False
    if not makes_sense:
        report(f"the exchange rate of {base}", data)
        return None
    return FxRate(base, target, rate, time)


class SharedMissingSymbols(MissingSymbols):
    """The symbols without a price, of all nodes."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker

    def add(self, reasons: Iterable[tuple[str, str]]) -> None:
        """See `MissingSymbols.add`."""
        named = dict(reasons)
        super().add(named.items())
        if named:
            arguments = [part for pair in named.items() for part in pair]
            self._broker.run("note", [self._broker.key("missing")], arguments)

    def discard(self, symbols: Iterable[str]) -> None:
        """See `MissingSymbols.discard`."""
        with self._lock:
            known = [symbol for symbol in symbols if self._reasons.pop(symbol, None) is not None]
        if known:
            self._broker.run("strike", [self._broker.key("missing")], known)

    def forget_unless(self, asked: Iterable[str]) -> None:
        """Name no symbol any more that is not asked for."""
        asked = set(asked)
        with self._lock:
            gone = [symbol for symbol in self._reasons if symbol not in asked]
        self.discard(gone)

    def adopt(self, reasons: Mapping[str, str]) -> None:
        """Take over what the broker holds."""
        with self._lock:
            self._reasons = dict(reasons)


class SharedConstituents(CurrentConstituents):
    """The list of constituents: the scheduler reads it, the others get it from the broker."""

    def __init__(
        self,
        source: Callable[[], ListSource],
        selected: Sequence[str],
        max_age: float,
        broker: Broker,
        *,
        watch: SourceWatch | None = None,
    ) -> None:
        super().__init__(source, selected, max_age, watch=watch)
        self._broker = broker
        self._announced = 0
        self._version = ""
        """Of the list last told or taken over."""

    def refresh(self) -> None:
        """See `CurrentConstituents.refresh`; a new list is told to the others."""
        super().refresh()
        if self._announced == self.revision:
            return
        shown = self.snapshot()
        record = {
            "health": shown.health,
            "message": shown.message,
            "origin": shown.origin,
            "date": None if shown.date is None else shown.date.isoformat(),
            "listed": [asdict(one) for one in self.listed],
            "chosen": self._selected,
        }
        text, version = json.dumps(record, default=date.isoformat), secrets.token_hex(8)
        arguments = ["version", version, "record", text]
        self._broker.run("note", [self._broker.key("list")], arguments, patience=_TIMEOUT)
        self._announced, self._version = self.revision, version

    def look(self, version: str) -> None:
        """Take over the list that the scheduler told, unless it is the one in force here."""
        if not version or version == self._version:
            return
        flat = self._broker.run("look_up", [self._broker.key("list")], [], patience=_TIMEOUT)
        self._adopt(fields(flat).get("record", b""))
        # One that cannot be read is not read again before another version comes.
        self._version = version

    def _adopt(self, data: bytes) -> None:
        try:
            record: _Record = _reader().validate_python(loads(data))
        except ValueError:
            report("the list of constituents", data)
            return
        shown = ListSnapshot(
            record.health, plain(record.message), len(record.listed), plain(record.origin), record.date
        )
        self.listed, self._selected, self._snapshot = record.listed, record.chosen, shown
        self.revision += 1
        self._announced = self.revision


@dataclass(frozen=True, slots=True)
class _Record:
    """The list of constituents as the scheduler writes it down."""

    health: Health
    message: str
    origin: str
    date: datetime | None
    listed: tuple[Constituent, ...]
    chosen: tuple[str, ...]


@cache
def _reader() -> Any:
    # Heavy, and needed by nodes only.
    from pydantic import TypeAdapter

    return TypeAdapter(_Record)
