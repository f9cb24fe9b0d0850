"""The faults and actions of the demo market: strengths, effects, and what to observe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OUTAGE_SECONDS = 10.0
"""Duration of a database outage."""
OFF = 0
"""Index of the strength at which a fault is off."""


@dataclass(frozen=True, slots=True)
class Strength:
    """One setting of a fault."""

    label: str
    values: Mapping[str, object]
    """Values of the demo market's faults by name."""


@dataclass(frozen=True, slots=True)
class FaultOption:
    """One fault of the demo market with its strengths, weakest first."""

    title: str
    counter: str
    """Name of the market's counter of this fault; empty if it has none."""
    strengths: tuple[Strength, ...]
    """The first one is off."""
    what: str
    """The behaviour of the market."""
    watch: str
    """What to watch for on this screen."""


@dataclass(frozen=True, slots=True)
class DemoAction:
    """An action that runs once; it is not switched on and off."""

    name: str
    title: str
    what: str
    watch: str


def _share(name: str, *percents: int, of: str = "requests", **more: object) -> tuple[Strength, ...]:
    """Off, and the given percentages of requests or quotes."""
    off = Strength("off", {name: 0.0})
    return (
        off,
        *(Strength(f"{percent} % of {of}", {name: percent / 100, **more}) for percent in percents),
    )


def _named(name: str, *choices: tuple[str, str]) -> tuple[Strength, ...]:
    """Off, and the named variants of a fault."""
    return (Strength("off", {name: "ok"}), *(Strength(label, {name: value}) for value, label in choices))


KILL_WRITER = DemoAction(
    "kill-writer",
    "kill a writer",
    "Kills the process of one writer with SIGKILL.",
    "The writer restarts and its restart count rises; another writer takes its batch. In flight rises briefly, and "
    "the equation holds: no row is lost or stored twice.",
)
STOP_DATABASE = DemoAction(
    "stop-database",
    "stop database for 10 s",
    "Stops the embedded PostgreSQL for at least ten seconds.",
    "The rows queue fills, then batches stay in the journal (spooled rises); the status shows the next attempt. "
    "After the restart the backlog drains within seconds.",
)
CLEAR = DemoAction(
    "clear",
    "clear all faults",
    "Switches off every fault of the demo market.",
    "Errors stop immediately; the request limit recovers step by step.",
)
ACTIONS = (KILL_WRITER, STOP_DATABASE, CLEAR)

FAULTS: tuple[FaultOption, ...] = (
    FaultOption(
        "latency",
        "",
        (
            Strength("off", {"latency": 0.0, "jitter": 0.0}),
            Strength("100 ms", {"latency": 0.1, "jitter": 0.02}),
            Strength("500 ms", {"latency": 0.5, "jitter": 0.1}),
            Strength("2 s", {"latency": 2.0, "jitter": 0.5}),
            Strength("12 s", {"latency": 12.0, "jitter": 0.0}),
        ),
        "Every response is delayed.",
        "The p95 of the price workers rises and they become the bottleneck; more of them help. At 12 s requests "
        "time out and are retried.",
    ),
    FaultOption(
        "429 too many requests",
        "throttle",
        _share("throttle", 10, 50, 100, retry_after=None),
        "Price requests fail with status 429 without Retry-After.",
        "The request limit is halved and the delays grow; at 100 % the circuit opens and the status counts down to a "
        "single probe. Retries do not pile up.",
    ),
    FaultOption(
        "429 with Retry-After",
        "throttle",
        _share("throttle", 10, 50, 100, retry_after=5.0),
        "Price requests fail with status 429 and Retry-After: 5.",
        "No request is sent for 5 s; the workers wait and show the time left.",
    ),
    FaultOption(
        "5xx server errors",
        "server_error",
        _share("server_error", 10, 50, 100),
        "Price requests fail with status 500, 502 or 503.",
        "Symbols are requested again in the same cycle; failed requests rise, and symbols are missing only when nearly "
        "all requests fail.",
    ),
    FaultOption(
        "dropped connections",
        "drop",
        _share("drop", 10, 50, 100),
        "The connection is reset before the response.",
        "Workers back off and reconnect; the cycle takes longer and still completes.",
    ),
    FaultOption(
        "HTML instead of JSON",
        "html",
        _share("html", 10, 50, 100),
        "A maintenance page with status 200, as Yahoo Finance sometimes sends.",
        "The content is checked, not only the status: failed requests rise, and no wrong price is stored.",
    ),
    FaultOption(
        "garbage",
        "garbage",
        _share("garbage", 10, 50, 100),
        "Broken JSON with status 200.",
        "The whole response is discarded and requested again; no partial row reaches the database.",
    ),
    FaultOption(
        "truncated bodies",
        "truncated_body",
        _share("truncated_body", 10, 50, 100),
        "The response ends in the middle of its body.",
        "The length reveals the truncation; the same symbols are requested again.",
    ),
    FaultOption(
        "slow bodies",
        "slow_body",
        _share("slow_body", 10, 50, 100, slow_body_seconds=5.0),
        "The body takes five seconds to arrive.",
        "Workers are busy longer with fewer items: p95 rises to seconds and the tickers queue fills.",
    ),
    FaultOption(
        "NaN prices",
        "nan_price",
        _share("nan_price", 1, 10, 100, of="quotes"),
        "The price of a quote is NaN.",
        "Only that symbol is missing; the others of its request are stored. The database has no NaN.",
    ),
    FaultOption(
        "missing symbols",
        "missing_symbol",
        _share("missing_symbol", 1, 10, 50, of="quotes"),
        "Quotes are left out of the response.",
        "Those symbols are requested again, and listed as missing with the reason if they are left out again.",
    ),
    FaultOption(
        "stale quotes",
        "stale",
        _share("stale", 10, 50, 100, of="quotes"),
        "Quotes repeat the previous close with a fresh response.",
        "They count as duplicates because the key (symbol, quote time) exists: the number of rows stays the same, and "
        "the table dims old quotes.",
    ),
    FaultOption(
        "Wikipedia",
        "wikipedia",
        _named("wikipedia", ("down", "down: 503"), ("garbled", "no table"), ("forbidden", "forbidden: 403")),
        "The page with the list of constituents is unavailable or unusable.",
        "The last good list stays in use and prices continue, as the list is read at the start and every six hours. "
        "Restart with this fault to see the bundled list.",
    ),
    FaultOption(
        "exchange rate",
        "fx",
        _named("fx", ("missing", "missing"), ("zero", "zero"), ("old", "three days old")),
        "The currency pair is missing, zero or old.",
        "The last good rate is used and the status shows its age; a rate of zero is never used. Without a rate, rows "
        "are stored without a converted price.",
    ),
)

MOST_STRENGTHS = max(len(option.strengths) for option in FAULTS)
"""Digits that set a strength, 0 for off among them."""


def strength_of(option: FaultOption, faults: Mapping[str, object]) -> int | None:
    """Index of the active strength; None for custom values."""
    for index, strength in enumerate(option.strengths):
        if all(faults.get(name) == value for name, value in strength.values.items()):
            return index
    # Two options share a fault: while one of them is on, the other is off.
    return (
        OFF
        if any(_other_is_active(option, other, faults) for other in FAULTS if other is not option)
        else None
    )


def _other_is_active(option: FaultOption, other: FaultOption, faults: Mapping[str, object]) -> bool:
    """Whether the fault shared with `other` has one of its values."""
    common = option.strengths[OFF].values.keys() & other.strengths[OFF].values.keys()
    return bool(common) and any(
        all(faults.get(name) == value for name, value in strength.values.items())
        for strength in other.strengths[1:]
    )


def with_strength(option: FaultOption, index: int, faults: Mapping[str, object]) -> dict[str, object]:
    """All faults, with this one at the given strength."""
    index = max(OFF, min(len(option.strengths) - 1, index))
    return {**faults, **option.strengths[index].values}


def adjusted(option: FaultOption, direction: int, faults: Mapping[str, object]) -> dict[str, object]:
    """All faults, with this one a step stronger (+1) or weaker (-1)."""
    return with_strength(option, (strength_of(option, faults) or OFF) + direction, faults)


def toggled(option: FaultOption, faults: Mapping[str, object]) -> dict[str, object]:
    """All faults, with this one switched off, or on at its middle strength."""
    current = strength_of(option, faults)
    return with_strength(option, OFF if current != OFF else len(option.strengths) // 2, faults)


def active(faults: Mapping[str, object]) -> Sequence[FaultOption]:
    """The faults that are on."""
    return [option for option in FAULTS if strength_of(option, faults) != OFF]
