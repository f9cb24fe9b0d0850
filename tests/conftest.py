"""Command-line options, markers and fixture modules of the test suite."""

from __future__ import annotations

import gc
import inspect
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.tracing import let_threads_start_while_traced

# Without it, every worker and each of the hundreds of programs compiles everything that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# With it, programs would not buffer output as they usually do.
os.environ.pop("PYTHONUNBUFFERED", None)

# The collected tests are kept until the end: the garbage collector need not traverse them repeatedly.
gc.disable()

# The duration of an example depends on the load of the machine; benchmarks measure speed.
settings.register_profile("thorough", deadline=None)
settings.register_profile("usual", deadline=None, max_examples=30)
settings.register_profile("fast", deadline=None, max_examples=20)

FAULTS = Path(__file__).parent / "faults"
SCREENS = {
    Path(__file__).parent / "tui" / name
    for name in (
        "coverage",
        "database",
        "demo",
        "journeys",
        "lessons",
        "nodes",
        "replay",
        "symbol",
        "timeline",
    )
}
"""Tests of the screens that are opened from the main screen, and of the past."""
USUAL_SIZE = (120, 40)
"""Columns and lines of the pictures that every run compares."""

let_threads_start_while_traced()

pytest_plugins = [
    "tests.support.isolation",
    "tests.support.waiting",
    "tests.support.postgres.server",
    "tests.support.postgres.pgbouncer",
    "tests.support.cluster.valkey",
    "tests.support.cluster.tls_proxy",
    "tests.support.cluster.nodes",
    "tests.support.containers",
    "tests.support.market.demo",
    "tests.support.market.client",
    "tests.support.faults",
    "tests.support.pipeline.writer_harness",
    "tests.support.remote.control_socket",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="slow tests run too, as where CI is set")
    parser.addoption(
        "--thorough", action="store_true", help="thorough and slow tests run too; before a release"
    )
    parser.addoption(
        "--long", action="store_true", help="the soak runs too: hundreds of kills, twenty minutes"
    )
    parser.addoption("--all-sizes", action="store_true", help="pictures at every size, not only at 120x40")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    long = config.getoption("long", default=False)
    thorough = _is_thorough(config)
    slow = _is_slow(config)
    # Updated together, otherwise outdated pictures of other sizes would remain.
    every_size = config.getoption("all_sizes") or config.getoption("update_snapshots", default=False)
    for item in items:
        if item.get_closest_marker("soak") and not long:
            item.add_marker(pytest.mark.skip(reason="a soak run: give --long"))
        if _presses_keys(item):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("thorough") and not thorough:
            item.add_marker(pytest.mark.skip(reason="thorough: runs with --thorough, as before a release"))
        if item.get_closest_marker("slow") and not slow:
            item.add_marker(
                pytest.mark.skip(reason="slow: runs with --slow, where CI is set or its file is named")
            )
        if _picture_size(item) not in (None, USUAL_SIZE) and not every_size:
            item.add_marker(pytest.mark.skip(reason="a picture of another size: runs with --all-sizes"))
        if not _is_traced(item):
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    # The apps of Textual's tests are large; the usual thresholds make a third of their time collections.
    gc.set_threshold(20_000, 20, 5)
    gc.enable()


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Five workers for two processors, because most tests wait; six with the thorough tests, which wait longer."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (6 if _is_thorough(config) else 5) * len(os.sched_getaffinity(0)) // 2


def _is_traced(item: pytest.Item) -> bool:
    """Whether coverage is measured in a test.

    Tracing more than doubles the time of tests that draw whole screens or run whole pipelines. Others cover the same
    lines: of the screens with a number, their pictures and the tests that run no dashboard.
    """
    if item.path.stem.endswith("pictures"):
        return True
    if item.get_closest_marker("thorough") or item.get_closest_marker("slow"):
        return False
    return not item.path.is_relative_to(FAULTS)


def _presses_keys(item: pytest.Item) -> bool:
    """Whether a test runs the dashboard to press keys: in a file named so, or on a screen opened from the main one."""
    if item.path.stem.endswith("pictures"):
        return False
    if item.path.parent not in SCREENS and not item.path.stem.endswith("keys"):
        return False
    return inspect.iscoroutinefunction(getattr(item, "function", None))


def _picture_size(item: pytest.Item) -> object:
    """The terminal size of a picture test that is parametrized by size."""
    parameters = getattr(item, "callspec", None)
    return parameters.params.get("size") if parameters and item.path.stem.endswith("pictures") else None


def pytest_configure(config: pytest.Config) -> None:
    _restore_default_signals()
    settings.load_profile(_examples(config))
    config.addinivalue_line("markers", "soak: takes minutes; runs only with --long")
    config.addinivalue_line("markers", "thorough: takes its time; runs with --thorough, as before a release")
    config.addinivalue_line("markers", "slow: runs where CI is set, with --slow, or when its file is named")


def _is_thorough(config: pytest.Config) -> bool:
    """Whether the thorough tests run too."""
    return bool(config.getoption("thorough", default=False) or config.getoption("long", default=False))


def _is_slow(config: pytest.Config) -> bool:
    """Whether the slow tests run too."""
    named: bool = (
        config.workerinput["named"]
        if hasattr(config, "workerinput")
        else config.args_source is pytest.Config.ArgsSource.ARGS
    )
    return bool(named or config.getoption("slow", default=False) or os.environ.get("CI")) or _is_thorough(
        config
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell the workers whether the command line names tests; to them, all tests appear to be named."""
    node.workerinput["named"] = node.config.args_source is pytest.Config.ArgsSource.ARGS


def _examples(config: pytest.Config) -> str:
    """The profile of Hypothesis: how many examples each property is tested with."""
    if config.getoption("markexpr") == "fast":
        return "fast"
    return "thorough" if _is_thorough(config) else "usual"


def _restore_default_signals() -> None:
    """Undo the ignored signals of a run under nohup or in the background of a script.

    The started programs inherit them and rightly respect them, so that tests which end programs by a signal would wait.
    """
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
