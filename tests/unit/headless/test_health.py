"""A run is unhealthy when it does not do its work, and ready when it collects prices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sp500tui.headless.health import STALLED_AFTER, not_ready, unhealthy
from sp500tui.pipeline.core.snapshot import (
    ConstituentsSnapshot,
    DatabaseSnapshot,
    Health,
    JournalSnapshot,
    Phase,
    Snapshot,
    SourceSnapshot,
)
from tests.support.pipeline.fake_run import a_snapshot

WELL = replace(
    a_snapshot(),
    database=DatabaseSnapshot(Health.OK),
    constituents=ConstituentsSnapshot(Health.OK, count=503),
)


def with_parts(**parts: Any) -> Snapshot:
    return replace(WELL, **parts)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({}, ""),
        ({"phase": Phase.PAUSED}, ""),
        ({"phase": Phase.STOPPED}, ""),
        ({"phase": Phase.FAILED, "failure": "no list"}, "the run failed: no list"),
        ({"database": DatabaseSnapshot(Health.DOWN, "refused")}, "database: refused"),
        ({"database": DatabaseSnapshot(Health.STARTING, "is being opened")}, ""),
        ({"sources": SourceSnapshot(Health.DEGRADED, "slow")}, ""),
        (
            {"sources": SourceSnapshot(Health.DOWN, "429"), "journal": JournalSnapshot(Health.DOWN, "full")},
            "journal: full; source: 429",
        ),
        ({"broker_health": Health.DOWN, "broker_message": "away"}, "broker: away"),
        ({"database": DatabaseSnapshot(Health.DOWN)}, "database: down"),
    ],
    ids=str,
)
def test_a_run_is_unhealthy_with_the_reason(parts: dict[str, Any], reason: str) -> None:
    assert unhealthy(with_parts(**parts), stalled=0.1) == reason


def test_a_run_whose_supervisor_hangs_is_unhealthy_once_it_was_started_and_until_it_has_ended() -> None:
    assert unhealthy(WELL, STALLED_AFTER + 1) == "the supervisor has made no progress for 31 s"
    for phase in (Phase.STARTING, Phase.STOPPED):
        assert unhealthy(with_parts(phase=phase), STALLED_AFTER + 1) == ""


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({}, ""),
        ({"phase": Phase.PAUSED}, ""),
        ({"phase": Phase.STARTING}, "the pipeline is starting"),
        ({"phase": Phase.DRAINING}, "the pipeline is draining"),
        ({"phase": Phase.FAILED, "failure": "no list"}, "no list"),
        ({"database": DatabaseSnapshot(Health.DOWN, "refused")}, "refused"),
        ({"database": DatabaseSnapshot()}, "the database is not open"),
        ({"constituents": ConstituentsSnapshot()}, "there is no list of constituents"),
        ({"sources": SourceSnapshot(Health.DOWN, "429")}, ""),
    ],
    ids=str,
)
def test_a_run_is_not_ready_with_the_reason(parts: dict[str, Any], reason: str) -> None:
    assert not_ready(with_parts(**parts)) == reason
