"""What the nodes learn from each other: exchange rates, symbols without a price, the list of constituents."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sp500tui.cluster.broker import Broker
from sp500tui.domain import Constituent, FxRate, Sp500tuiError
from sp500tui.pipeline.fx import FxBook, major_unit
from sp500tui.pipeline.pricing import MissingBook
from sp500tui.pipeline.scraper import ListSource, Roster
from sp500tui.pipeline.snapshot import Health, ListSnapshot
from sp500tui.pipeline.source_health import SourceWatch

_PATIENCE = 2.0


class SharedFxBook(FxBook):
    """Rates that one node believed are every node's: a converter need not be where the requests are made."""

    def __init__(self, target: str, broker: Broker) -> None:
        super().__init__(target)
        self._broker = broker

    def learn(self, rates: Iterable[FxRate]) -> None:
        """See `FxBook.learn`; what is believed is told to the others before any quote that needs it."""
        before = self._rates()
        super().learn(rates)
        news = {base: rate for base, rate in self._rates().items() if before.get(base) != rate}
        if news:
            arguments = [part for base, rate in news.items() for part in (base, _rate_text(rate))]
            self._broker.run("note", [self._key()], arguments)

    def worth_waiting(self, currencies: Iterable[str]) -> bool:
        """See `FxBook.worth_waiting`; a rate that is not known here is looked up first."""
        bases = {major_unit(currency)[0] for currency in currencies}
        self.need(bases)
        known = self._rates()
        if any(base != self.target and base not in known for base in bases):
            flat = self._broker.run("look_up", [self._key()], [])
            self.adopt(dict(zip([name.decode() for name in flat[::2]], flat[1::2], strict=True)))
        return super().worth_waiting(bases)

    def adopt(self, rates: Mapping[str, bytes]) -> None:
        """Take over the others' rates where they are newer."""
        self.need(rates)
        with self._changed:
            for base, text in rates.items():
                pair, rate = self._pairs.get(base), _rate_of(base, self.target, text)
                if pair is None or rate is None or (pair.rate is not None and pair.rate.time >= rate.time):
                    continue
                pair.rate, pair.received, pair.doubted = rate, self._clock(), 0
            self._changed.notify_all()

    def _rates(self) -> dict[str, FxRate]:
        with self._changed:
            return {base: pair.rate for base, pair in self._pairs.items() if pair.rate is not None}

    def _key(self) -> str:
        return self._broker.key("fx", self.target)


def _rate_text(rate: FxRate) -> str:
    return json.dumps([str(rate.rate), rate.time.isoformat()])


def _rate_of(base: str, target: str, text: bytes) -> FxRate | None:
    """The rate of another node; None for one that cannot be read."""
    try:
        rate, time = json.loads(text)
        return FxRate(base, target, Decimal(rate), datetime.fromisoformat(time))
    except (ValueError, TypeError, InvalidOperation):
        return None


class SharedMissingBook(MissingBook):
    """The symbols without a price, of all nodes."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker

    def name(self, reasons: Iterable[tuple[str, str]]) -> None:
        """See `MissingBook.name`."""
        named = dict(reasons)
        super().name(named.items())
        if named:
            arguments = [part for pair in named.items() for part in pair]
            self._broker.run("note", [self._broker.key("missing")], arguments)

    def found(self, symbols: Iterable[str]) -> None:
        """See `MissingBook.found`."""
        with self._lock:
            known = [symbol for symbol in symbols if self._reasons.pop(symbol, None) is not None]
        if known:
            self._broker.run("strike", [self._broker.key("missing")], known)

    def forget_unless(self, asked: Iterable[str]) -> None:
        """Name no symbol any more that is not asked for."""
        asked = set(asked)
        with self._lock:
            gone = [symbol for symbol in self._reasons if symbol not in asked]
        self.found(gone)

    def adopt(self, reasons: Mapping[str, str]) -> None:
        """Take over what the broker holds."""
        with self._lock:
            self._reasons = dict(reasons)


class SharedRoster(Roster):
    """The list of constituents: the scheduler reads it, the others get it from the broker."""

    def __init__(
        self,
        source: Callable[[], ListSource],
        chosen: Sequence[str],
        refresh: float,
        broker: Broker,
        *,
        watch: SourceWatch | None = None,
    ) -> None:
        super().__init__(source, chosen, refresh, watch=watch)
        self._broker = broker
        self._told = 0
        self._version = ""
        """Of the list last told or taken over."""

    def refresh(self) -> None:
        """See `Roster.refresh`; a new list is told to the others."""
        super().refresh()
        if self._told == self.changes:
            return
        shown = self.snapshot()
        record = {
            "health": shown.health,
            "message": shown.message,
            "origin": shown.origin,
            "date": None if shown.date is None else shown.date.isoformat(),
            "listed": [asdict(one) for one in self.listed],
            "chosen": self._chosen,
        }
        text, version = json.dumps(record, default=date.isoformat), secrets.token_hex(8)
        arguments = ["version", version, "record", text]
        self._broker.run("note", [self._broker.key("list")], arguments, patience=_PATIENCE)
        self._told, self._version = self.changes, version

    def look(self, version: str) -> None:
        """Take over the list that the scheduler told, unless it is the one in force here."""
        if not version or version == self._version:
            return
        flat = self._broker.run("look_up", [self._broker.key("list")], [], patience=_PATIENCE)
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        self._adopt(found[b"record"])
        self._version = version

    def _adopt(self, text: bytes) -> None:
        try:
            record = json.loads(text)
            listed = tuple(_constituent(fields) for fields in record["listed"])
            told = record["date"]
            shown = ListSnapshot(
                Health(record["health"]),
                str(record["message"]),
                len(listed),
                str(record["origin"]),
                None if told is None else datetime.fromisoformat(told),
            )
            chosen = tuple(map(str, record["chosen"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Sp500tuiError(f"the list of constituents on the broker cannot be read: {error}") from error
        self.listed, self._chosen, self._snapshot = listed, chosen, shown
        self.changes += 1
        self._told = self.changes


def _constituent(fields: Mapping[str, Any]) -> Constituent:
    added = fields["date_added"]
    return Constituent(**{**fields, "date_added": None if added is None else date.fromisoformat(added)})
