"""What can be made to go wrong in the demo: each fault with its strengths and what to watch for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OFF = 0
"""Index of the strength at which a fault does not happen."""


@dataclass(frozen=True, slots=True)
class Strength:
    """One setting of a fault."""

    words: str
    values: Mapping[str, object]
    """By the names of the demo market's faults."""


@dataclass(frozen=True, slots=True)
class FaultOption:
    """One fault of the demo market and its strengths, the weakest first."""

    title: str
    counted: str
    """Under which name the market counts how often it happened; empty where it does not."""
    strengths: tuple[Strength, ...]
    """The first one is off."""
    what: str
    """What the market does."""
    watch: str
    """What to watch for on this screen."""


@dataclass(frozen=True, slots=True)
class DemoAction:
    """Something that is done once instead of being switched on."""

    name: str
    title: str
    what: str
    watch: str


def _share(name: str, *percents: int, of: str = "requests", **more: object) -> tuple[Strength, ...]:
    """Off, and so many percent of the requests or quotes."""
    off = Strength("off", {name: 0.0})
    return (
        off,
        *(Strength(f"{percent} % of {of}", {name: percent / 100, **more}) for percent in percents),
    )


def _named(name: str, *choices: tuple[str, str]) -> tuple[Strength, ...]:
    """Off, and what else a fault that is named by a word can be."""
    return (Strength("off", {name: "ok"}), *(Strength(words, {name: value}) for value, words in choices))


KILL_WRITER = DemoAction(
    "kill-writer",
    "kill a writer",
    "Ends one writer's process with SIGKILL, in the middle of whatever it does.",
    "A writer turns to “starting” with one restart more; its batch goes to another one, in flight rises for a "
    "moment, and the equation holds: nothing lost, nothing doubled.",
)
STOP_DATABASE = DemoAction(
    "stop-database",
    "stop database for 10 s",
    "Stops the embedded PostgreSQL and starts it again no sooner than after ten seconds.",
    "The rows queue fills, then the journal takes over (spooled rises); the status says when the next attempt "
    "comes. Once it is back, the backlog drains within seconds.",
)
CLEAR = DemoAction(
    "clear",
    "clear all faults",
    "Switches every fault of the demo market off.",
    "Errors stop at once; the request limit climbs back step by step.",
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
        "Every answer waits before it is sent.",
        "The price workers' p95 rises and they become the bottleneck: + adds some. At 12 s requests run into "
        "their time limit and are tried again.",
    ),
    FaultOption(
        "429 too many requests",
        "throttle",
        _share("throttle", 10, 50, 100, retry_after=None),
        "Price requests are refused with status 429 that does not say when to come back.",
        "The request limit halves and the pauses grow by themselves; at 100 % the circuit opens and the status "
        "counts down to the one next attempt. No storm of retries.",
    ),
    FaultOption(
        "429 with Retry-After",
        "throttle",
        _share("throttle", 10, 50, 100, retry_after=5.0),
        "Price requests are refused with status 429 that says: come back in 5 s.",
        "Nothing is asked before those seconds are over: the workers wait and say until when.",
    ),
    FaultOption(
        "5xx server errors",
        "server_error",
        _share("server_error", 10, 50, 100),
        "Price requests are answered with 500, 502 or 503.",
        "Symbols are asked for again in the same cycle; failed requests count up, missing stays empty until "
        "nearly all fail.",
    ),
    FaultOption(
        "dropped connections",
        "drop",
        _share("drop", 10, 50, 100),
        "The connection is reset instead of an answer.",
        "Workers back off for a moment and connect anew; the cycle takes longer and still ends whole.",
    ),
    FaultOption(
        "HTML instead of JSON",
        "html",
        _share("html", 10, 50, 100),
        "A maintenance page with status 200, as Yahoo Finance shows it at times.",
        "It is told apart from prices by its content, not its status: failed counts up, nothing wrong is stored.",
    ),
    FaultOption(
        "garbage",
        "garbage",
        _share("garbage", 10, 50, 100),
        "Broken JSON with status 200.",
        "The answer is thrown away whole and asked for again; no half row reaches the database.",
    ),
    FaultOption(
        "half bodies",
        "half_body",
        _share("half_body", 10, 50, 100),
        "The answer is cut in the middle.",
        "The cut is noticed by its length; the same symbols are asked for again.",
    ),
    FaultOption(
        "slow bodies",
        "drip",
        _share("drip", 10, 50, 100, drip_seconds=5.0),
        "The answer trickles in over five seconds.",
        "Workers stay busy for long with few items: p95 climbs to seconds and the tickers queue fills.",
    ),
    FaultOption(
        "NaN prices",
        "nan_price",
        _share("nan_price", 1, 10, 100, of="quotes"),
        "The price of a quote is printed as NaN.",
        "Only that symbol is named missing, the others of its request are stored: no NaN in the database.",
    ),
    FaultOption(
        "missing symbols",
        "missing_symbol",
        _share("missing_symbol", 1, 10, 50, of="quotes"),
        "Quotes are left out of the answer.",
        "Those symbols are asked for again, and named missing with the reason when they stay away.",
    ),
    FaultOption(
        "stale quotes",
        "stale",
        _share("stale", 10, 50, 100, of="quotes"),
        "A quote is that of the previous close, as good as new.",
        "They count as duplicates, for the key (symbol, quote time) is known: rows stand still, the table "
        "dims old quotes.",
    ),
    FaultOption(
        "Wikipedia",
        "wikipedia",
        _named("wikipedia", ("down", "down: 503"), ("garbled", "no table"), ("forbidden", "forbidden: 403")),
        "The page with the list of constituents cannot be had or makes no sense.",
        "The last good list stays in force: the list is read at the start and every six hours, so prices go "
        "on. Restart with this fault to see the bundled list.",
    ),
    FaultOption(
        "exchange rate",
        "fx",
        _named("fx", ("missing", "missing"), ("zero", "zero"), ("old", "three days old")),
        "The currency pair is not quoted, quoted as zero, or old.",
        "The last good rate is used and its age grows in the status; a rate of zero is never used, and rows "
        "go without a converted price rather than wait for ever.",
    ),
)


def strength_of(choice: FaultOption, faults: Mapping[str, object]) -> int | None:
    """Index of the strength in force; None for one that is not on the list."""
    for index, strength in enumerate(choice.strengths):
        if all(faults.get(name) == value for name, value in strength.values.items()):
            return index
    # Another fault of the same name is on: this one is not.
    return OFF if any(_shares(choice, other, faults) for other in FAULTS if other is not choice) else None


def _shares(choice: FaultOption, other: FaultOption, faults: Mapping[str, object]) -> bool:
    """Whether `other` is what the two faults' common name is set to."""
    common = choice.strengths[OFF].values.keys() & other.strengths[OFF].values.keys()
    return bool(common) and any(
        all(faults.get(name) == value for name, value in strength.values.items())
        for strength in other.strengths[1:]
    )


def with_strength(choice: FaultOption, index: int, faults: Mapping[str, object]) -> dict[str, object]:
    """All faults with this one at that strength."""
    index = max(OFF, min(len(choice.strengths) - 1, index))
    return {**faults, **choice.strengths[index].values}


def adjusted(choice: FaultOption, direction: int, faults: Mapping[str, object]) -> dict[str, object]:
    """All faults with this one a step stronger (+1) or weaker (-1)."""
    return with_strength(choice, (strength_of(choice, faults) or OFF) + direction, faults)


def toggled(choice: FaultOption, faults: Mapping[str, object]) -> dict[str, object]:
    """All faults with this one off where it is on, and at its middle strength where it is off."""
    present = strength_of(choice, faults)
    return with_strength(choice, OFF if present != OFF else len(choice.strengths) // 2, faults)


def active(faults: Mapping[str, object]) -> Sequence[FaultOption]:
    """The faults that are on."""
    return [choice for choice in FAULTS if strength_of(choice, faults) != OFF]
