"""Fault injection in the demo market: which faults occur, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields

from sp500tui.errors import ConfigurationError
from sp500tui.simulator.market.prng import Prng

TOKEN_HEADER = "X-Demo-Market-Token"  # noqa: S105 - the header's name
"""Header with the control token; web pages cannot send it across origins without a preflight request."""
WIKIPEDIA_FAULTS = ("ok", "down", "garbled", "forbidden")
SESSION_FAULTS = ("ok", "overnight", "new")
FX_FAULTS = ("ok", "missing", "zero", "old")
LONGEST_VALUE = 40
"""Characters of an invalid value that a message shows."""
_SECONDS = frozenset({"latency", "jitter", "retry_after", "slow_body_seconds"})
_RENAMED = {
    "drip": "slow_body",
    "drip_seconds": "slow_body_seconds",
    "half_body": "truncated_body",
    "other_symbols": "unrequested_symbols",
    "poisoned_crumb": "corrupt_crumb",
}
"""Name of a fault in version 0.1 → its current name. The old names are accepted for one version."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The active faults; none by default. Probabilities are 0 to 1, per request or, where stated, per quote."""

    latency: float = 0.0
    """Delay of every response in seconds."""
    jitter: float = 0.0
    """Largest additional random delay in seconds; uniformly distributed."""
    throttle: float = 0.0
    """Quote and chart requests answered with 429."""
    retry_after: float | None = None
    """Seconds in their `Retry-After` header; None omits the header."""
    throttle_text: float = 0.0
    """Quote and chart requests answered with status 200 and the text `Too Many Requests`."""
    consent_loop: float = 0.0
    """Quote requests redirected to the consent page, even after consent."""
    corrupt_crumb: float = 0.0
    """`getcrumb` requests answered with 429 and an error text instead of a crumb."""
    invalid_crumb: float = 0.0
    """Quote requests rejected with 401, as with an expired crumb."""
    server_error: float = 0.0
    """Quote and chart requests answered with 500, 502 or 503."""
    drop: float = 0.0
    """Connections closed instead of a response."""
    truncated_body: float = 0.0
    """Responses cut off in the middle of the body."""
    slow_body: float = 0.0
    """Responses whose body is sent over `slow_body_seconds`."""
    slow_body_seconds: float = 5.0
    html: float = 0.0
    """An HTML page with status 200 instead of JSON."""
    garbage: float = 0.0
    """Broken JSON with status 200."""
    empty: float = 0.0
    """Quote responses without any quote."""
    unrequested_symbols: float = 0.0
    """Quote responses in which one quote is replaced by that of an unrequested symbol."""
    missing_symbol: float = 0.0
    """Per quote: omitted."""
    nan_price: float = 0.0
    """Per quote: every price is printed as NaN."""
    null_price: float = 0.0
    """Per quote: every price is null."""
    negative_price: float = 0.0
    """Per quote: every price is negative."""
    stale: float = 0.0
    """Per quote: replaced by that of the previous close."""
    null_bars: float = 0.0
    """Per bar that has ended: every price and the volume is null. The same bars are affected in every response."""
    lost_sessions: float = 0.0
    """Per session that is over: charts of all symbols have none of its bars. They return when the fault ends."""
    wikipedia: str = "ok"
    """`ok`, `down` (503), `garbled` (a page without a usable table) or `forbidden` (403)."""
    fx: str = "ok"
    """Currency pairs: `ok`, `missing`, `zero` or `old` (three days)."""
    session: str = "ok"
    """`marketState` of shares: `ok` (of the demo day), `overnight` with overnight prices, or `new`, an unknown name."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Number of times a fault occurs before it ends, by name; unlimited without an entry."""

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item.name, getattr(self, item.name))

    @classmethod
    def parse(cls, values: object) -> Faults:
        """Faults from JSON; faults that are not named are off.

        Raises:
            ConfigurationError: a name or a value is unknown.
        """
        if not isinstance(values, Mapping):
            raise ConfigurationError('faults must be a JSON object such as {"throttle": 0.5}')
        names = {item.name for item in fields(cls)}
        for name in values:
            if name not in names:
                raise ConfigurationError(
                    f"unknown fault {name!r}; known faults are {', '.join(sorted(names))}"
                )
        return cls(**values)

    def as_json(self) -> dict[str, object]:
        """All values by name, as `parse` accepts them."""
        return asdict(self)


def replace_old_names(values: object) -> tuple[object, list[str]]:
    """Rename faults given by their name in version 0.1; also returns a warning for each of them."""
    if not isinstance(values, Mapping):
        return values, []
    limits = values.get("limits")
    names = [*values, *(limits if isinstance(limits, Mapping) else ())]
    renamed = {_RENAMED.get(name, name): value for name, value in values.items()}
    if isinstance(limits, Mapping):
        renamed["limits"] = {_RENAMED.get(name, name): number for name, number in limits.items()}
    old = [name for name in dict.fromkeys(names) if name in _RENAMED]
    return renamed, [f"the fault {name} is now named {_RENAMED[name]}; use the new name" for name in old]


def _check(name: str, value: object) -> None:
    choices = {"wikipedia": WIKIPEDIA_FAULTS, "fx": FX_FAULTS, "session": SESSION_FAULTS}.get(name)
    if choices is not None:
        if value not in choices:
            raise ConfigurationError(f"fault {name}={value!r}: choose one of {', '.join(choices)}")
    elif name == "limits":
        if not isinstance(value, Mapping) or not all(type(v) is int and v >= 0 for v in value.values()):
            raise ConfigurationError(
                f'fault limits={value!r}: give an integer for each fault, such as {{"drop": 3}}'
            )
    elif value is not None or name != "retry_after":
        highest = 600.0 if name in _SECONDS else 1.0
        if type(value) not in (int, float) or not 0 <= value <= highest:  # type: ignore[operator]
            raise ConfigurationError(
                f"fault {name}={repr(value)[:LONGEST_VALUE]}: use a number from 0 to {highest:g}"
            )


class FaultSampler:
    """Decides whether a fault occurs, reproducibly for a seed."""

    def __init__(self, faults: Faults, seed: object, report: Callable[[str], None]) -> None:
        """`report` is called with the name of every fault that occurs."""
        self._rng = Prng(seed, "faults")
        self._report = report
        self.faults = faults
        self._occurrences: Counter[str] = Counter()

    def set(self, faults: Faults) -> None:
        """Replace the active faults and restart the count towards their limits."""
        self.faults = faults
        self._occurrences.clear()

    def occurs(self, name: str) -> bool:
        """Decide whether a fault occurs, by its probability and limit."""
        probability: float = getattr(self.faults, name)
        if not probability or (probability < 1 and self._rng.uniform() >= probability):
            return False
        return self._within_limit(name)

    def choice(self, name: str) -> str:
        """The value of a fault with named values; `ok` once its limit is reached."""
        value: str = getattr(self.faults, name)
        return value if value != "ok" and self._within_limit(name) else "ok"

    def affected(self, name: str) -> None:
        """Report a fault that occurred for a part of a response."""
        self._report(name)

    def delay(self) -> float:
        """Delay of the next response in seconds."""
        jitter = self.faults.jitter
        return self.faults.latency + (jitter * self._rng.uniform() if jitter else 0.0)

    def pick(self, number: int) -> int:
        """A random integer from 0 to `number` - 1."""
        return int(self._rng.uniform() * number)

    def _within_limit(self, name: str) -> bool:
        if self._occurrences[name] >= self.faults.limits.get(name, self._occurrences[name] + 1):
            return False
        self._occurrences[name] += 1
        self._report(name)
        return True
