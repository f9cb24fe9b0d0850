"""State shared by the nodes through the broker: exchange rates, missing symbols, constituents."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.values import loads, loads_as, warn_invalid
from sp500tui.logs.redaction import plain
from sp500tui.model import Constituent, FxRate, IndexChange
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, Health
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents, ListSource
from sp500tui.pipeline.stages.fetcher import MissingSymbols
from sp500tui.pipeline.stages.fx import FxRates, is_plausible, major_unit
from sp500tui.pipeline.stages.source_health import SourceWatch

_TIMEOUT = 2.0
_CURRENCY = re.compile("[A-Za-z]{3}")
_MAX_EXPONENT = 12
"""Largest accepted decimal exponent of a rate."""
_MAX_CLOCK_SKEW = timedelta(days=1)
"""How far a rate's time may be in the future, because the clocks of nodes differ."""


class SharedFxRates(FxRates):
    """Exchange rates accepted by any node; a converter need not run on a node that fetches them."""

    def __init__(self, target: str, broker: Broker) -> None:
        super().__init__(target)
        self._broker = broker

    def update(self, rates: Iterable[FxRate]) -> None:
        """See `FxRates.update`; accepted rates are published before any quote that needs them."""
        before = self._rates()
        super().update(rates)
        changed = {
            base: _encode_rate(rate) for base, rate in self._rates().items() if before.get(base) != rate
        }
        self._broker.set_fields(self._key(), changed)

    def is_pending(self, currencies: Iterable[str]) -> bool:
        """See `FxRates.is_pending`; a rate unknown to this node is read from the broker first."""
        bases = {major_unit(currency)[0] for currency in currencies}
        self.register(bases)
        known = self._rates()
        if any(base != self.target and base not in known for base in bases):
            self.merge(self._broker.read_hash(self._key()))
        return super().is_pending(bases)

    def merge(self, rates: Mapping[str, bytes]) -> None:
        """Accept rates of other nodes that are newer."""
        decoded = [_decode_rate(base, self.target, data) for base, data in rates.items()]
        known = [rate for rate in decoded if rate is not None]
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


def _encode_rate(rate: FxRate) -> str:
    return json.dumps([str(rate.rate), rate.time.isoformat()])


def _decode_rate(base: str, target: str, data: bytes) -> FxRate | None:
    """The rate of another node; None when it is unreadable or implausible."""
    try:
        digits, rate_time = loads(data)
        rate, time = Decimal(digits), datetime.fromisoformat(rate_time)
        # A time in the far future would block every later rate.
        is_valid = (
            _CURRENCY.fullmatch(base) is not None
            and is_plausible(None, rate)
            and abs(rate.adjusted()) <= _MAX_EXPONENT
            and time <= datetime.now(UTC) + _MAX_CLOCK_SKEW
        )
    except (ValueError, TypeError, InvalidOperation):
        is_valid = False
    if not is_valid:
        warn_invalid(f"the exchange rate of {base}", data)
        return None
    return FxRate(base, target, rate, time)


class SharedMissingSymbols(MissingSymbols):
    """The symbols without a price, over all nodes."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker

    def add(self, reasons: Iterable[tuple[str, str]]) -> None:
        """See `MissingSymbols.add`."""
        new = dict(reasons)
        super().add(new.items())
        self._broker.set_fields(self._broker.key("missing"), new)

    def discard(self, symbols: Iterable[str]) -> None:
        """See `MissingSymbols.discard`."""
        with self._lock:
            known = [symbol for symbol in symbols if self._reasons.pop(symbol, None) is not None]
        if known:
            self._broker.delete_fields(self._broker.key("missing"), known)

    def merge(self, reasons: Mapping[str, str]) -> None:
        """Replace the symbols by those on the broker."""
        with self._lock:
            self._reasons = dict(reasons)


class SharedConstituents(CurrentConstituents):
    """The constituents: the scheduler reads the list and publishes it to the other nodes."""

    def __init__(
        self,
        source: Callable[[], ListSource],
        selected: Sequence[str],
        max_age: float,
        broker: Broker,
        *,
        watch: SourceWatch | None = None,
        publish: Callable[[PipelineEvent], None] = lambda _: None,
    ) -> None:
        super().__init__(source, selected, max_age, watch=watch, publish=publish)
        self._broker = broker
        self._published_revision = 0
        self._version = ""
        """Version of the list last published or received."""

    def refresh(self) -> None:
        """See `CurrentConstituents.refresh`; a changed list is published."""
        super().refresh()
        if self._published_revision == self.revision:
            return
        snapshot = self.snapshot()
        record = {
            "health": snapshot.health,
            "message": snapshot.message,
            "origin": snapshot.origin,
            "date": None if snapshot.date is None else snapshot.date.isoformat(),
            "listed": [asdict(one) for one in self.listed],
            "changes": [asdict(change) for change in self.changes],
            "chosen": self._selected,
        }
        version = secrets.token_hex(8)
        published = {"version": version, "record": json.dumps(record, default=date.isoformat)}
        self._broker.set_fields(self._broker.key("list"), published, retry_for=_TIMEOUT)
        self._published_revision, self._version = self.revision, version

    def refresh_from(self, version: str) -> None:
        """Load the published list unless this node has that version."""
        if not version or version == self._version:
            return
        published = self._broker.read_hash(self._broker.key("list"), retry_for=_TIMEOUT)
        self._load(published.get("record", b""))
        # An unreadable list is not read again until the version changes.
        self._version = version

    def _load(self, data: bytes) -> None:
        try:
            record: _Record = loads_as(data, _Record)
        except ValueError:
            warn_invalid("the list of constituents", data)
            return
        snapshot = ConstituentsSnapshot(
            record.health, plain(record.message), len(record.listed), plain(record.origin), record.date
        )
        self.listed, self._selected, self._snapshot = record.listed, record.chosen, snapshot
        self.changes, self.confirmed = record.changes, record.origin == "wikipedia"
        self.revision += 1
        self._published_revision = self.revision


@dataclass(frozen=True, slots=True)
class _Record:
    """The list of constituents as published."""

    health: Health
    message: str
    origin: str
    date: datetime | None
    listed: tuple[Constituent, ...]
    chosen: tuple[str, ...]
    changes: tuple[IndexChange, ...] = ()
    """Not published by nodes of version 0.1."""
