"""The live screen in a real pseudo-terminal, beside Textual's DataTable and an idle app."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.benchmarks.figures import Figure, Scale, Spread
from tests.benchmarks.rig import public_folder
from tests.benchmarks.terminal import HEIGHT, WIDTH, Terminal

_EQUAL = (
    f"same {WIDTH}x{HEIGHT} pseudo-terminal, Textual, prices and seed; 503 symbols change ten times a second; the "
    "making of the prices is part of every figure but the idle app's"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One run of one screen."""

    cpu: float
    """Share of a core, percent."""
    lag_p50: float
    """Milliseconds."""
    lag_p99: float
    kilobytes: float
    """To the terminal a second."""


def show(kind: str, rows: int, seconds: float) -> Shown:
    """Run a screen and tell what it cost.

    Raises:
        RuntimeError: it ended before it had measured.
    """
    with public_folder() as folder:
        target = folder / "cost.json"
        arguments = ["-m", "tests.benchmarks.screen", kind, str(rows), str(seconds), str(target)]
        with Terminal(arguments, {"HOME": str(folder)}) as terminal:
            patience = 30.0 + rows / 1000
            terminal.read(patience, lambda tail: b"]0;measuring" in tail)
            before = terminal.received
            terminal.read(seconds)
            sent = terminal.received - before
            terminal.close(20.0)
            if not target.exists():
                raise RuntimeError(f"the screen {kind} ended early: {terminal.tail}")
        told = json.loads(target.read_text())
    return Shown(told["cpu"] * 100, told["lag_p50"], told["lag_p99"], sent / 1000 / seconds)


@dataclass(frozen=True, slots=True)
class Kind:
    """All runs of one screen."""

    runs: list[Shown]

    def spread(self, attribute: str) -> Spread:
        """Of one quantity."""
        return Spread.of(getattr(run, attribute) for run in self.runs)


def measured(scale: Scale) -> dict[str, Kind]:
    """Every screen, the runs in turns so that a busy machine slows them alike."""
    length = min(5.0, scale.seconds)
    many = scale.sizes[-1]
    wanted = {
        "dashboard": ("dashboard", 503),
        "table": ("table", 503),
        "datatable": ("datatable", 503),
        "idle": ("idle", 503),
        "dashboard-many": ("dashboard", many),
        "table-many": ("table", many),
    }
    runs: dict[str, list[Shown]] = {name: [] for name in wanted}
    for _ in range(min(3, scale.runs)):
        for name, (kind, rows) in wanted.items():
            runs[name].append(show(kind, rows, length))
    return {name: Kind(shown) for name, shown in runs.items()}


def run(scale: Scale) -> list[Figure]:
    """Processor share, lag and bytes of each screen, and many rows beside few."""
    kinds = measured(scale)
    many = f"{scale.sizes[-1]:,}"
    figures = []
    for kind, name in (("dashboard", "whole dashboard"), ("table", "price table alone")):
        ours, lots = kinds[kind], kinds[f"{kind}-many"]
        figures += [
            _beside(kinds, ours, f"processor, {name}", "cpu", "% of a core", 15.0),
            _beside(kinds, ours, f"event-loop lag p99, {name}", "lag_p99", "ms", 16.0),
            _beside(kinds, ours, f"to the terminal, {name}", "kilobytes", "KB/s", 120.0),
            _times_less(kinds, ours, name),
            _many(ours, lots, f"{name}, {many} rows", "503 rows"),
        ]
    return figures


def _beside(
    kinds: dict[str, Kind], ours: Kind, metric: str, attribute: str, unit: str, most: float
) -> Figure:
    mine = ours.spread(attribute)
    return Figure(
        "dashboard",
        metric,
        unit,
        mine,
        _EQUAL,
        {"Textual's DataTable": kinds["datatable"].spread(attribute)},
        limit=kinds["idle"].spread(attribute),
        limit_name="an idle app",
        goal=f"≤ {most:g} {unit}",
        met=mine.median <= most,
    )


def _times_less(kinds: dict[str, Kind], ours: Kind, name: str) -> Figure:
    ratio = Spread.pairwise([r.cpu for r in kinds["datatable"].runs], [r.cpu for r in ours.runs])
    return Figure(
        "dashboard",
        f"processor beside DataTable, {name}",
        "% of a core",
        ours.spread("cpu"),
        _EQUAL,
        {"Textual's DataTable": kinds["datatable"].spread("cpu")},
        ratio=ratio,
        ratio_name="DataTable : ours",
        goal="≥ 5× less",
        met=ratio.median >= 5,
    )


def _many(few: Kind, lots: Kind, metric: str, peer: str) -> Figure:
    ratio = Spread.pairwise([r.cpu for r in lots.runs], [r.cpu for r in few.runs])
    return Figure(
        "dashboard",
        f"processor, {metric}",
        "% of a core",
        lots.spread("cpu"),
        _EQUAL,
        {peer: few.spread("cpu")},
        ratio=ratio,
        ratio_name=f"many rows : {peer}",
        goal="within 1.5× of 503 rows",
        met=ratio.median <= 1.5,
    )
