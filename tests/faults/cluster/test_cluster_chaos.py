"""A short form of `python -m tests.faults cluster`: real programs, each as if on a separate machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.checker import Handed
from tests.faults.rig.cluster import STORER, ClusterRig
from tests.faults.rig.program import Launcher
from tests.support.cluster.valkey import ValkeyServer
from tests.support.postgres.server import TcpPostgres


@pytest.fixture
def rig(
    own_valkey: ValkeyServer, tcp_postgres: TcpPostgres, launch: Launcher, handed: Handed
) -> Iterator[ClusterRig]:
    with ClusterRig.over(own_valkey, tcp_postgres, launch, handed) as rig:
        yield rig


@pytest.mark.thorough
def test_a_killed_worker_and_a_killed_broker_lose_and_double_nothing(rig: ClusterRig) -> None:
    # given a working cluster with one node that only converts and stores, and one that runs every stage
    rig.start("scraper,price=2,converter=1,writer=1", interval=0.5)
    storer = rig.start(STORER)
    storer.program.hears("started; process")
    rig.continues()

    # when that node is killed and replaced by another, and the broker is killed too
    rig.replace(storer)
    rig.valkey.kill()
    rig.valkey.start()

    # then the work continues, and everything that was served is stored once
    rig.continues()
    verdict = rig.ends()
    assert verdict.clean, str(verdict)
