"""Marks tests as `fast`, and checks that they are isolated.

Fast are the tests below `tests/unit` without one of the markers of `SLOW`. A test that is called fast and starts a
process, opens or reaches a socket, or sleeps longer than a wait helper between two looks, fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
UNIT = TESTS / "unit"
SLOW = ("processes", "slow", "thorough", "soak")
FORBIDDEN = {
    "os.fork": "starts a process",
    "os.posix_spawn": "starts a process",
    "socket.bind": "opens a port",
    "socket.connect": "connects to a server",
    "subprocess.Popen": "starts a process",
    "time.sleep": "sleeps",
}
"""Operations forbidden in fast tests, by audit event of the interpreter; sleeping has one since Python 3.13."""
_POLLING = 0.1
"""Maximum seconds of a sleep between two polls of a condition."""

_observed: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in FORBIDDEN or _observed is None:
        return
    if event != "time.sleep" or arguments[0] > _POLLING:
        _observed.append(FORBIDDEN[event])


def is_fast(item: pytest.Item) -> bool:
    """Whether the test is fast by the rule of this module."""
    return item.path.is_relative_to(UNIT) and not any(map(item.get_closest_marker, SLOW))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fast: set by the rule in tests/support/isolation.py")
    config.addinivalue_line("markers", "processes: a unit test that starts a process or opens a socket")
    sys.addaudithook(_audit)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m fast`, import only the folder with fast tests."""
    only_unit = config.getoption("markexpr", default="") == "fast"
    other = collection_path.parent == TESTS and collection_path != UNIT
    return True if only_unit and other and collection_path.is_dir() else None


def pytest_itemcollected(item: pytest.Item) -> None:
    if is_fast(item):
        item.add_marker("fast")


@pytest.fixture(autouse=True)
def _isolation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a fast test that is not isolated."""
    global _observed
    if not is_fast(request.node):
        yield
        return
    observed: list[str] = []
    _observed = observed
    yield
    _observed = None
    if observed:
        kinds = " and ".join(sorted(set(observed)))
        pytest.fail(
            f"this test {kinds}: mark it with `processes`, or move it to tests/integration", pytrace=False
        )
