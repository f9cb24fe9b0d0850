"""The result of a benchmark: figures with their spread, and the peers and limits of the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest, median and largest value of several runs."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of these runs, at least one."""
        found = sorted(values)
        return cls(found[0], float(median(found)), found[-1])

    def over(self, other: Spread) -> Spread:
        """This divided by the other; the extremes by the opposite extremes."""
        return Spread(
            _part(self.min, other.max), _part(self.median, other.median), _part(self.max, other.min)
        )

    @classmethod
    def pairwise(cls, above: Sequence[float], below: Sequence[float]) -> Spread:
        """The spread of the ratios of paired runs, which load on the machine affects equally."""
        return cls.of(_part(one, other) for one, other in zip(above, below, strict=True))

    def times(self, factor: float) -> Spread:
        """Every value times `factor`."""
        return Spread(self.min * factor, self.median * factor, self.max * factor)

    def as_json(self) -> dict[str, float]:
        """The three values by name, with four digits each."""
        return {name: float(f"{getattr(self, name):.4g}") for name in ("min", "median", "max")}


def _part(whole: float, divisor: float) -> float:
    return whole / divisor if divisor else float("inf")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity, with its peers, its limit and its goal."""

    benchmark: str
    metric: str
    unit: str
    ours: Spread
    equal: str
    """Conditions that were equal for ours, the peers and the limit."""
    peers: Mapping[str, Spread] = field(default_factory=dict)
    limit: Spread | None = None
    limit_name: str = ""
    ratio: Spread | None = None
    """The value to which the goal applies, if that is not `ours`."""
    ratio_name: str = ""
    goal: str = ""
    """The goal as text; empty without one."""
    met: bool | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The figure for `--json`; every measured value with its spread."""
        return {
            "benchmark": self.benchmark,
            "metric": self.metric,
            "unit": self.unit,
            "ours": self.ours.as_json(),
            "peers": {name: peer.as_json() for name, peer in self.peers.items()},
            "limit": {"name": self.limit_name, **self.limit.as_json()} if self.limit else None,
            "ratio": {"name": self.ratio_name, **self.ratio.as_json()} if self.ratio else None,
            "goal": self.goal,
            "met": self.met,
            "equal": self.equal,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Figure:
        """The figure in the JSON written by `as_json`."""
        limit, ratio = item["limit"], item["ratio"]
        return cls(
            benchmark=item["benchmark"],
            metric=item["metric"],
            unit=item["unit"],
            ours=Spread(**item["ours"]),
            equal=item["equal"],
            peers={name: Spread(**peer) for name, peer in item["peers"].items()},
            limit=Spread(limit["min"], limit["median"], limit["max"]) if limit else None,
            limit_name=limit["name"] if limit else "",
            ratio=Spread(ratio["min"], ratio["median"], ratio["max"]) if ratio else None,
            ratio_name=ratio["name"] if ratio else "",
            goal=item["goal"],
            met=item["met"],
            note=item["note"],
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of the benchmarks."""

    runs: int
    """Repetitions of ours; slow peers have fewer."""
    quotes: int
    """Quotes of the ingest benchmark."""
    seconds: float
    """Seconds of a run of fixed duration."""
    sizes: tuple[int, ...]
    """Numbers of symbols in the growth benchmark; the large dashboard has the last of them."""
    sample: int
    """Symbols, or tens of rows, that a slow peer processes; its figure is extrapolated and marked as such."""
    latencies: tuple[float, ...]
    """Seconds that the demo market waits before every answer."""


FULL = Scale(5, 200_000, 20.0, (503, 5_030, 50_300), 40, (0.0, 0.05, 0.1))
QUICK = Scale(3, 60_000, 6.0, (503, 5_030, 50_300), 16, (0.0, 0.05, 0.1))
TINY = Scale(1, 2_000, 0.5, (503, 1_006), 2, (0.02,))

Benchmark = Callable[[Scale], list[Figure]]
