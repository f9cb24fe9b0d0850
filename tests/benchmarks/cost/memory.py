"""Resident size of every process of the program, compared with Python and the same third-party packages."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import ROOT, child_environment, public_folder, run_child, wait_until
from tests.benchmarks.terminal import Terminal

_MEGA = 1e6
_RSS = "import os, psutil; print(psutil.Process(os.getpid()).memory_info().rss)"
_SOURCES = "aiohttp, bs4, curl_cffi, lxml.html, psycopg, pydantic, requests, yfinance, yfinance.data"
_EQUAL = (
    "resident set size as the kernel counts it, same interpreter; the demo market, 503 symbols every 0.5 s"
)


def bare(packages: str) -> float:
    """Megabytes of an idle interpreter that has imported these modules."""
    return int(run_child(["-c", f"import psutil, {packages}; {_RSS}"]).output) / _MEGA


@dataclass(frozen=True, slots=True)
class Sizes:
    """Megabytes of one run's processes, after warming up and at the end."""

    program: tuple[float, float]
    writers: tuple[tuple[float, float], ...]


def writer_processes(pid: int) -> list[psutil.Process]:
    """The writers of a running program."""
    return [child for child in psutil.Process(pid).children(recursive=True) if _is_writer(child)]


def _is_writer(process: psutil.Process) -> bool:
    try:
        return "sp500tui.pipeline.writer.process" in process.cmdline()
    except psutil.Error:
        return False  # it has ended in the meantime


def watch(pid: int, seconds: float) -> Sizes:
    """Sizes after a third of the time and at its end, once both writers run."""
    wait_until(lambda: len(writer_processes(pid)) == 2, 60.0, "the start of both writers")
    processes = [psutil.Process(pid), *writer_processes(pid)]
    time.sleep(seconds / 3)
    first = [process.memory_info().rss / _MEGA for process in processes]
    time.sleep(seconds * 2 / 3)
    last = [process.memory_info().rss / _MEGA for process in processes]
    pairs = list(zip(first, last, strict=True))
    return Sizes(pairs[0], tuple(pairs[1:]))


def _options(folder: object) -> list[str]:
    return ["-m", "sp500tui", "--demo", "--interval", "0.5", "--data-dir", f"{folder}/data"]


def headless(seconds: float) -> Sizes:
    """A run without a screen."""
    with public_folder() as folder:
        process = subprocess.Popen(
            [sys.executable, *_options(folder), "--no-ui"],
            cwd=ROOT,
            env=child_environment({"HOME": str(folder)}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return watch(process.pid, seconds)
        finally:
            process.terminate()
            process.wait(30)


def dashboard(seconds: float) -> Sizes:
    """A run with the screen, whose output is read continuously."""
    with public_folder() as folder, Terminal(_options(folder), {"HOME": str(folder)}) as terminal:
        while len(writer_processes(terminal.process.pid)) < 2 and terminal.process.poll() is None:
            terminal.read(0.2)
        processes = [psutil.Process(terminal.process.pid), *writer_processes(terminal.process.pid)]
        terminal.read(seconds / 3)
        first = [process.memory_info().rss / _MEGA for process in processes]
        terminal.read(seconds * 2 / 3)
        last = [process.memory_info().rss / _MEGA for process in processes]
        terminal.press("q")
        terminal.close(20.0)
    pairs = list(zip(first, last, strict=True))
    return Sizes(pairs[0], tuple(pairs[1:]))


def run(scale: Scale) -> list[Figure]:
    """Sizes of the three kinds of process and their growth."""
    seconds = max(1.0, scale.seconds)
    plain, ui = headless(seconds), dashboard(seconds)
    figures = [
        _program("headless process", plain.program, bare(_SOURCES)),
        _program("UI process", ui.program, bare(f"{_SOURCES}, textual.app, textual.widgets")),
    ]
    ends = [last for sizes in (plain, ui) for _, last in sizes.writers]
    floor = bare("psycopg")
    spread = Spread.of(ends)
    figures.append(
        Figure(
            "memory",
            "each writer",
            "MB",
            spread,
            _EQUAL,
            {"bare Python + psycopg": Spread.of([floor])},
            ratio=Spread.of(end - floor for end in ends),
            ratio_name="MB above bare + psycopg",
            goal="≤ bare + psycopg + 10 MB",
            met=spread.max <= floor + 10,
        )
    )
    pairs = [plain.program, ui.program, *plain.writers, *ui.writers]
    figures.append(_flat(pairs, seconds))
    return figures


def _program(metric: str, sizes: tuple[float, float], floor: float) -> Figure:
    return Figure(
        "memory",
        metric,
        "MB",
        Spread.of(sizes),
        _EQUAL,
        {"bare Python + the same packages": Spread.of([floor])},
        ratio=Spread.of(size - floor for size in sizes),
        ratio_name="MB above bare",
    )


def _flat(pairs: Sequence[tuple[float, float]], seconds: float) -> Figure:
    growth = Spread.of((last / first - 1) * 100 for first, last in pairs)
    return Figure(
        "memory",
        "growth over time, every process",
        "%",
        growth,
        _EQUAL,
        goal="flat: ≤ 5 %",
        met=growth.max <= 5,
        note=f"between {seconds / 3:.0f} s and {seconds:.0f} s after both writers were there",
    )
