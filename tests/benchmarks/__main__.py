"""`python -m tests.benchmarks [NAME…] [--quick] [--json FILE] [--write FILE]`: measure, print and save."""

from __future__ import annotations

import argparse
import json
import os
import sys
import timeit
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from sp500tui.cli.runtime_tuning import tune_gc
from tests.benchmarks.report.figures import FULL, QUICK, Benchmark, Figure
from tests.benchmarks.report.tables import table

FOLDERS = {
    "refresh": "throughput",
    "ingest": "throughput",
    "end-to-end": "throughput",
    "dashboard": "cost",
    "start-up": "cost",
    "memory": "cost",
    "idle": "cost",
    "growth": "scaling",
    "back-pressure": "throughput",
    "budget": "throughput",
    "broker": "throughput",
    "spans": "cost",
    "timeline": "cost",
    "export": "throughput",
    "history": "throughput",
    "accounting": "cost",
    "viewers": "cost",
    "record": "cost",
    "scaling": "scaling",
}
"""The folder of each benchmark's module."""
ALONE = ("scaling",)
"""Measured only when named: it has a separate document, docs/scaling.md."""
NAMES = tuple(name for name in FOLDERS if name not in ALONE)


def benchmark(name: str) -> Benchmark:
    """The function that runs the benchmark of a name."""
    run: Benchmark = import_module(f"tests.benchmarks.{FOLDERS[name]}.{name.replace('-', '_')}").run
    return run


def main(arguments: list[str] | None = None) -> int:
    """Run the named benchmarks, or all; returns 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help=f"of {', '.join(NAMES)}; all of them without one; or {', '.join(ALONE)}",
    )
    parser.add_argument("--quick", action="store_true", help="smaller work and fewer runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument(
        "--from", type=Path, metavar="FILE", dest="kept", help="measure nothing: take kept figures"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put tables and plots into this document")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - {*NAMES, *ALONE}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join((*NAMES, *ALONE))}")
    figures = kept_figures(options.kept) if options.kept else []
    for name in options.names or (() if options.kept else NAMES):
        sys.stdout.write(f"measuring {name} …\n")
        sys.stdout.flush()
        measured = with_load(benchmark(name)(QUICK if options.quick else FULL))
        sys.stdout.write(table(measured) + "\n")
        sys.stdout.flush()
        figures = [figure for figure in figures if figure.benchmark != name] + measured
        if options.json:
            words = json.dumps([figure.as_json() for figure in figures], indent=1, ensure_ascii=False)
            options.json.write_text(words + "\n", encoding="utf-8")
    if options.write:
        from tests.benchmarks.report.document import write

        write(options.write, figures)
    return int(any(figure.met is False for figure in figures))


def with_load(figures: list[Figure]) -> list[Figure]:
    """The figures with a note on the current load and speed of the machine."""
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    words = f"{load}, {_pace():.0f} ms a million additions"
    return [replace(figure, note=f"{figure.note}; {words}" if figure.note else words) for figure in figures]


def _pace() -> float:
    """Milliseconds for a million additions in plain Python, the best of three runs."""
    return (
        min(timeit.repeat("for number in range(1_000_000): total += number", "total = 0", number=1, repeat=3))
        * 1000
    )


def kept_figures(path: Path) -> list[Figure]:
    """The figures in a file written by `--json`."""
    return [Figure.from_json(item) for item in json.loads(path.read_text(encoding="utf-8"))]


if __name__ == "__main__":
    # As in the program at the start of a run.
    tune_gc()
    sys.exit(main())
