"""Pipelines with the demo market and a real database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.postgres.server import public_folder

if TYPE_CHECKING:
    from sp500tui.simulator.process import DemoMarket
    from tests.faults.rig.engine import EngineStarter


@pytest.fixture
def start(demo_market: DemoMarket) -> Iterator[EngineStarter]:
    """Starts pipelines that share one folder."""
    from tests.faults.rig.engine import EngineStarter

    starter = EngineStarter(demo_market, public_folder())
    yield starter
    starter.close()
    shutil.rmtree(starter.folder)
