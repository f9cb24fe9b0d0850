"""The report of a run: its JSON and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from sp500tui import __version__
from sp500tui.errors import ConfigurationError, DatabaseError, ExitCode, Sp500tuiError
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot, Health, Phase
from sp500tui.pipeline.report import RunReport, exit_code
from tests.support.pipeline.fake_run import a_snapshot

CLEAN = RunReport(ledger=Ledger(fetched=3, stored=2, duplicate=1))
DOWN = DatabaseSnapshot(health=Health.DOWN)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (CLEAN, ExitCode.OK),
        (RunReport(), ExitCode.OK),
        (replace(CLEAN, missing=("NOPE1",)), ExitCode.INCOMPLETE),
        (RunReport(ledger=Ledger(fetched=2, stored=1, dead=1)), ExitCode.INCOMPLETE),
        (RunReport(ledger=Ledger(fetched=2, stored=1, spooled=1)), ExitCode.INCOMPLETE),
        (RunReport(ledger=Ledger(fetched=2, stored=1, queued=1)), ExitCode.INCOMPLETE),
        (RunReport(ledger=Ledger(fetched=2, stored=1, spooled=1), database=DOWN), ExitCode.DATABASE),
        (replace(CLEAN, database=DOWN), ExitCode.OK),
        (RunReport(missing=("NOPE1",), requests=1), ExitCode.INCOMPLETE),
        (RunReport(missing=("AAPL",), requests=4, failed_requests=4), ExitCode.NO_SOURCE),
        (RunReport(missing=("AAPL",), requests=4, throttled_requests=4), ExitCode.NO_SOURCE),
        (CLEAN.with_failure(DatabaseError("gone")), ExitCode.DATABASE),
        (CLEAN.with_failure(ConfigurationError("wrong")), ExitCode.USAGE),
        (CLEAN.with_failure(Sp500tuiError("odd")), ExitCode.INCOMPLETE),
        (replace(CLEAN, failure="said by the snapshot"), ExitCode.INCOMPLETE),
        (CLEAN.with_signal(SIGINT), ExitCode.SIGINT),
        (CLEAN.with_signal(SIGTERM), ExitCode.SIGTERM),
        (CLEAN.with_signal(SIGHUP), ExitCode.SIGTERM),
        (CLEAN.with_failure(DatabaseError("gone")).with_signal(SIGINT), ExitCode.SIGINT),
        (replace(CLEAN, stopped_early=True), ExitCode.OK),
        (RunReport(ledger=Ledger(fetched=2, queued=2), continued_by_cluster=True), ExitCode.OK),
        (
            RunReport(ledger=Ledger(fetched=2, stored=1, dead=1), continued_by_cluster=True),
            ExitCode.INCOMPLETE,
        ),
        (RunReport(missing=("A",), continued_by_cluster=True, stopped_early=True), ExitCode.OK),
    ],
)
def test_the_exit_code_follows_from_the_report(report: RunReport, code: ExitCode) -> None:
    assert exit_code(report) is code


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        (CLEAN, "completed"),
        (CLEAN.with_signal(SIGINT), "interrupted"),
        (replace(CLEAN, stopped_early=True), "interrupted"),
        (CLEAN.with_failure(DatabaseError("gone")), "failed"),
    ],
)
def test_the_outcome_is_one_of_three(report: RunReport, outcome: str) -> None:
    assert report.outcome == outcome
    assert report.as_json()["outcome"] == outcome


def test_a_run_that_left_quotes_unstored_has_failed() -> None:
    # given a run that ended while the database was unavailable
    down = DatabaseSnapshot(health=Health.DOWN, message="the database does not answer")
    ended = replace(a_snapshot(Ledger(fetched=5, spooled=5)), phase=Phase.STOPPED, database=down)
    report = RunReport.from_snapshot(ended)
    # then it is reported as failed, with the reason and where the quotes are
    assert report.outcome == "failed"
    assert exit_code(report) is ExitCode.DATABASE
    assert report.failure == (
        "5 quotes were not stored: the database does not answer; 5 are in the journal, which the next start stores"
    )
    # but this is not a failure while it runs, or if it was stopped by the user
    assert RunReport.from_snapshot(replace(ended, phase=Phase.RUNNING)).outcome == "completed"
    assert RunReport.from_snapshot(ended, stopped_early=True).outcome == "interrupted"


def test_the_json_is_the_contracts() -> None:
    # given the last snapshot of a run
    report = RunReport.from_snapshot(a_snapshot(missing=["NOPE1"]))

    # when it is printed and read back
    content = json.loads(json.dumps(report.as_json()))

    # then it has exactly the fields of the contract
    assert content == {
        "version": __version__,
        "outcome": "completed",
        "elapsed_seconds": 12.5,
        "cycles": 2,
        "constituents": 503,
        "quotes": {
            "fetched": 503,
            "stored": 500,
            "duplicate": 3,
            "queued": 0,
            "in_flight": 0,
            "spooled": 0,
            "dead": 0,
            "missing": ["NOPE1"],
        },
        "requests": {"total": 13, "failed": 1, "throttled": 2},
        "latency_ms": {"fetch_p50": 50, "fetch_p95": 98, "end_to_end_p50": 200, "end_to_end_p95": 400},
        "workers": {name: {"size": 4, "restarts": 1} for name in ("price", "converter", "writer")},
        "database": {"url": "", "embedded": True, "rows_total": None},
    }


def test_the_report_of_a_run_that_did_not_start_has_the_same_keys() -> None:
    early, late = RunReport().as_json(), RunReport.from_snapshot(a_snapshot()).as_json()
    assert early.keys() == late.keys()
    assert all(early[name].keys() == late[name].keys() for name in early if isinstance(early[name], dict))
    assert early["latency_ms"]["fetch_p50"] is None
