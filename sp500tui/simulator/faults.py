"""Faults on demand: what can go wrong at the demo market, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite

from sp500tui.errors import ConfigurationError

TOKEN_HEADER = "X-Demo-Market-Token"  # noqa: S105 - the header's name
"""What a change of faults has to carry: a header that no web page can send here without asking first."""
WIKIPEDIA_FAULTS = ("ok", "down", "garbled", "forbidden")
SESSION_FAULTS = ("ok", "overnight", "new")
FX_FAULTS = ("ok", "missing", "zero", "old")
_SECONDS = frozenset({"latency", "jitter", "retry_after", "drip_seconds"})


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong at present; by default nothing. Probabilities are 0 to 1, a request or (where said) a quote."""

    latency: float = 0.0
    """Seconds every answer waits."""
    jitter: float = 0.0
    """Seconds it waits beyond that, at most; uniformly distributed."""
    throttle: float = 0.0
    """Quote and chart requests answered with 429."""
    retry_after: float | None = None
    """Seconds named in the `Retry-After` of those; None leaves the header out."""
    throttle_text: float = 0.0
    """Quote and chart requests answered with status 200 and the text `Too Many Requests`."""
    consent_loop: float = 0.0
    """Quote requests redirected to the page that asks for consent, also after consent was given."""
    poisoned_crumb: float = 0.0
    """`getcrumb` requests answered with 429 and a text instead of a crumb."""
    invalid_crumb: float = 0.0
    """Quote requests refused with 401 as if the crumb had expired."""
    server_error: float = 0.0
    """Quote and chart requests answered with 500, 502 or 503."""
    drop: float = 0.0
    """Connections reset instead of an answer."""
    half_body: float = 0.0
    """Answers cut in the middle."""
    drip: float = 0.0
    """Answers that trickle in over `drip_seconds`."""
    drip_seconds: float = 5.0
    html: float = 0.0
    """An HTML page with status 200 instead of JSON."""
    garbage: float = 0.0
    """Broken JSON with status 200."""
    empty: float = 0.0
    """Quote answers without any quote."""
    other_symbols: float = 0.0
    """Quote answers in which one quote is replaced by one nobody asked for."""
    missing_symbol: float = 0.0
    """A quote: left out."""
    nan_price: float = 0.0
    """A quote: every price in it is printed as NaN."""
    null_price: float = 0.0
    """A quote: every price in it is null."""
    negative_price: float = 0.0
    """A quote: every price in it is below zero."""
    stale: float = 0.0
    """A quote: that of the previous close."""
    wikipedia: str = "ok"
    """`ok`, `down` (503), `garbled` (a page without a usable table) or `forbidden` (403)."""
    fx: str = "ok"
    """Currency pairs: `ok`, `missing`, `zero` or `old` (three days)."""
    session: str = "ok"
    """Shares' `marketState`: that of the demo day, `overnight` with overnight prices, or a `new` unknown name."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """How often a fault happens before it stops by itself, by its name; without an entry it goes on."""

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item.name, getattr(self, item.name))

    @classmethod
    def parse(cls, values: object) -> Faults:
        """Faults from JSON; what is not named is off.

        Raises:
            ConfigurationError: A name or a value that does not exist.
        """
        if not isinstance(values, Mapping):
            raise ConfigurationError('faults are a JSON object such as {"throttle": 0.5}; send one')
        names = {item.name for item in fields(cls)}
        for name in values:
            if name not in names:
                raise ConfigurationError(f"unknown fault {name!r}; known ones are {', '.join(sorted(names))}")
        return cls(**values)

    def as_json(self) -> dict[str, object]:
        """All values by name, as `parse` takes them."""
        return asdict(self)


def _check(name: str, value: object) -> None:
    words = {"wikipedia": WIKIPEDIA_FAULTS, "fx": FX_FAULTS, "session": SESSION_FAULTS}.get(name)
    if words is not None:
        if value not in words:
            raise ConfigurationError(f"fault {name}={value!r}: choose one of {', '.join(words)}")
    elif name == "limits":
        if not isinstance(value, Mapping) or not all(type(v) is int and v >= 0 for v in value.values()):
            raise ConfigurationError(
                f'fault limits={value!r}: name a whole number a fault, such as {{"drop": 3}}'
            )
    elif value is not None or name != "retry_after":
        highest = 600.0 if name in _SECONDS else 1.0
        if type(value) not in (int, float) or not isfinite(value) or not 0 <= value <= highest:  # type: ignore[arg-type,operator]
            raise ConfigurationError(f"fault {name}={value!r}: use a number from 0 to {highest:g}")
