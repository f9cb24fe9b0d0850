"""The live screen in a real pseudo-terminal, compared with Textual's DataTable and an idle app."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sp500tui.config.settings import Settings
from tests.benchmarks.children.screen import RATE
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import public_folder
from tests.benchmarks.terminal import HEIGHT, WIDTH, Terminal

_EQUAL = (
    f"same {WIDTH}x{HEIGHT} pseudo-terminal, Textual, prices and seed; 503 symbols change ten times a second, "
    "made beforehand; all screens refresh equally often; runs in turns"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One run of one screen."""

    cpu: float
    """Share of a core, percent."""
    cpu_a_refresh: float
    """Milliseconds of processor time for a refresh that finds 503 changes, painting included."""
    lag_p50: float
    """Milliseconds."""
    lag_p99: float
    kilobytes: float
    """Bytes to the terminal per second."""


def show(kind: str, rows: int, refresh_rate: float, seconds: float) -> Shown:
    """Run a screen and measure its cost.

    Raises:
        RuntimeError: It ended before the measurement.
    """
    with public_folder() as folder:
        target = folder / "cost.json"
        arguments = [
            "-m",
            "tests.benchmarks.children.screen",
            kind,
            str(rows),
            str(refresh_rate),
            str(seconds),
            str(target),
        ]
        with Terminal(arguments, {"HOME": str(folder)}) as terminal:
            timeout = 30.0 + rows / 1000
            terminal.read(timeout, lambda tail: b"]0;measuring" in tail)
            before = terminal.received
            terminal.read(seconds)
            sent = terminal.received - before
            terminal.close(20.0)
            if not target.exists():
                raise RuntimeError(f"the screen {kind} ended early: {terminal.tail}")
        reported = json.loads(target.read_text())
    return Shown(
        reported["cpu"] * 100,
        reported["cpu_a_refresh"],
        reported["lag_p50"],
        reported["lag_p99"],
        sent / 1000 / seconds,
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """All runs of one screen."""

    runs: list[Shown]

    def spread(self, attribute: str) -> Spread:
        """The spread of one quantity."""
        return Spread.of(getattr(run, attribute) for run in self.runs)


def measured(scale: Scale) -> dict[str, Kind]:
    """Every screen; the runs alternate, so that load on the machine affects all of them."""
    length = min(5.0, scale.seconds)
    usual = Settings().refresh_rate
    wanted = {
        "dashboard": ("dashboard", 503, usual),
        "many": ("dashboard", scale.sizes[-1], usual),
        "datatable": ("datatable", 503, usual),
        "idle": ("idle", 503, usual),
        "table at 10": ("table", 503, RATE),
        "datatable at 10": ("datatable", 503, RATE),
    }
    runs: dict[str, list[Shown]] = {name: [] for name in wanted}
    for _ in range(min(3, scale.runs)):
        for name, (kind, rows, refresh_rate) in wanted.items():
            runs[name].append(show(kind, rows, refresh_rate, length))
    return {name: Kind(shown) for name, shown in runs.items()}


def run(scale: Scale) -> list[Figure]:
    """Processor share, lag and bytes of each screen, and many rows compared with few."""
    kinds = measured(scale)
    whole = f"whole dashboard, {Settings().refresh_rate:g} refreshes a second as by default"
    alone = f"price table alone, {RATE} refreshes a second"
    return [
        *_beside(kinds, "dashboard", "datatable", whole),
        _times_less(kinds["dashboard"], kinds["datatable"], whole),
        _many(kinds["dashboard"], kinds["many"], f"{scale.sizes[-1]:,} rows"),
        *_beside(kinds, "table at 10", "datatable at 10", alone),
        _times_less(kinds["table at 10"], kinds["datatable at 10"], alone),
    ]


def _beside(kinds: dict[str, Kind], kind: str, peer: str, name: str) -> list[Figure]:
    figures = []
    for words, attribute, unit, most in (
        ("processor", "cpu", "% of a core", 15.0),
        ("event-loop lag p99", "lag_p99", "ms", 16.0),
        ("to the terminal", "kilobytes", "KB/s", 120.0),
    ):
        ours = kinds[kind].spread(attribute)
        figures.append(
            Figure(
                "dashboard",
                f"{words}: {name}",
                unit,
                ours,
                _EQUAL,
                {"Textual's DataTable": kinds[peer].spread(attribute)},
                limit=kinds["idle"].spread(attribute),
                limit_name="an idle app",
                goal=f"≤ {most:g} {unit}",
                met=ours.median <= most,
            )
        )
    return figures


def _times_less(ours: Kind, peer: Kind, name: str) -> Figure:
    ratio = Spread.pairwise([r.cpu_a_refresh for r in peer.runs], [r.cpu_a_refresh for r in ours.runs])
    return Figure(
        "dashboard",
        f"processor time of a refresh with 503 changes: {name}",
        "ms",
        ours.spread("cpu_a_refresh"),
        _EQUAL,
        {"Textual's DataTable": peer.spread("cpu_a_refresh")},
        ratio=ratio,
        ratio_name="DataTable : ours",
        goal="≥ 5× less",
        met=ratio.median >= 5,
        note="counted for each refresh, because a DataTable that is late skips refreshes and repaints, and then costs "
        "less a second",
    )


def _many(few: Kind, lots: Kind, words: str) -> Figure:
    ratio = Spread.pairwise([r.cpu for r in lots.runs], [r.cpu for r in few.runs])
    return Figure(
        "dashboard",
        f"processor: whole dashboard, {words}",
        "% of a core",
        lots.spread("cpu"),
        _EQUAL,
        {"503 rows": few.spread("cpu")},
        ratio=ratio,
        ratio_name=f"{words} : 503 rows",
        goal="within 1.5× of 503 rows",
        met=ratio.median <= 1.5,
    )
