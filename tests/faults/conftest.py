"""Shared by the fault tests: a busy market, the program, and the final check."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sp500tui.simulator.process import DemoMarket
from tests.faults.checker import Checker, Handed
from tests.faults.rig.engine import EngineStarter
from tests.faults.rig.program import Launcher
from tests.support.postgres.server import end_server, public_folder


@pytest.fixture(scope="session")
def busy_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("busy-market") / "ledger.jsonl"


@pytest.fixture(scope="session")
def busy_process(busy_ledger: Path) -> Iterator[DemoMarket]:
    with DemoMarket.start(seed=7, ledger=busy_ledger, start_at="11:00") as market:
        yield market


@pytest.fixture
def market(busy_process: DemoMarket) -> Iterator[DemoMarket]:
    """An open market with frequent trades; its faults end with the test."""
    yield busy_process
    busy_process.clear_faults()


@pytest.fixture
def handed(busy_ledger: Path) -> Handed:
    """The quotes served since the beginning of the test."""
    return Handed.from_now(busy_ledger)


@pytest.fixture
def folder() -> Iterator[Path]:
    """The data folder, log and home of every program of the test; no server outlives the test."""
    folder = public_folder()
    yield folder
    for pgdata in folder.rglob("pgdata"):
        end_server(pgdata)
    shutil.rmtree(folder)


@pytest.fixture
def launch(market: DemoMarket, folder: Path) -> Iterator[Launcher]:
    """Starts the program; none of its processes outlives the test."""
    launcher = Launcher(market, folder)
    yield launcher
    launcher.close()


@pytest.fixture
def engine(market: DemoMarket, folder: Path) -> Iterator[EngineStarter]:
    """Starts the pipeline inside the test, with its equation checked continuously."""
    starter = EngineStarter(market, folder)
    yield starter
    starter.close()


@pytest.fixture
def check(handed: Handed, folder: Path) -> Checker:
    """The checker with the folders and database of this test."""
    return Checker(handed, folder / "data" / "live")
