"""`sp500tui status|scale|pause|resume|run-cycle|stop`: steer a running pipeline from scripts."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from contextlib import ExitStack

from sp500tui.cli.context import configuration_of, start
from sp500tui.config.settings import MAX_WORKERS, MIN_WORKERS
from sp500tui.config.suggestions import suggestion
from sp500tui.config.whole_numbers import whole_number
from sp500tui.errors import ConfigurationError, ExitCode, Sp500tuiError
from sp500tui.headless.live_view import headline, queue_beside, stage_line
from sp500tui.logs.redaction import plain, shown_value
from sp500tui.logs.standard_streams import write_json, write_message, write_output
from sp500tui.pipeline.api import ScaleResult, ShutdownLevel
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import LockSnapshot, Phase, Snapshot
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.remote import commands
from sp500tui.remote.address import NoAnswerError, NoPipelineError
from sp500tui.remote.session import Session
from sp500tui.remote.wire import Welcome

_POLL_INTERVAL = 0.2
"""Seconds between two polls while waiting for a stop."""
_SILENCE_LIMIT = 30.0
"""Seconds without an answer after which waiting for a stop is given up."""
_NOT_PAUSABLE = (Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED, Phase.FAILED)


def run(namespace: Namespace) -> int:
    """Run the command on the pipeline of the data folder."""
    action = _ACTIONS[namespace.command]
    configuration = configuration_of(namespace)
    _check_arguments(namespace)
    paths = start(configuration)
    with Session(paths.data) as session:
        return action(session, namespace)


def _check_arguments(namespace: Namespace) -> None:
    """Parse the stage and the number of workers.

    Raises:
        ConfigurationError: one of them is invalid.
    """
    if getattr(namespace, "stage", None) is not None:
        namespace.stage = _stage(namespace.stage)
    if namespace.command == "scale":
        namespace.workers = _workers(namespace.workers)
        if namespace.stage is StageName.SCRAPER and namespace.workers != 1:
            raise ConfigurationError(
                "the scraper always has one worker; scale price, converter, writer or history"
            )


def _status(session: Session, namespace: Namespace) -> int:
    update = session.state()
    if getattr(namespace, "json_output", False):
        write_json(json.dumps(status_json(session.welcome, update.snapshot)) + "\n")
    else:
        write_output("\n".join(map(plain, status_lines(session.welcome, update.snapshot))) + "\n")
    return ExitCode.OK


def _scale(session: Session, namespace: Namespace) -> int:
    stage, size = namespace.stage, namespace.workers
    result = session.call(commands.Scale(stage, size), ScaleResult)
    write_output(f"{stage} workers: {result.old} → {result.new}\n")
    return ExitCode.OK


def _pause(session: Session, namespace: Namespace) -> int:
    return _set_paused(session, namespace.stage, paused=True)


def _resume(session: Session, namespace: Namespace) -> int:
    return _set_paused(session, namespace.stage, paused=False)


def _set_paused(session: Session, stage: StageName | None, *, paused: bool) -> int:
    what, verb = ("intake" if stage is None else f"{stage} stage"), "pause" if paused else "resume"
    phase = session.state().snapshot.phase
    if phase in _NOT_PAUSABLE:
        raise Sp500tuiError(f"cannot {verb} the {what}: the pipeline is {phase}")
    session.execute(commands.Pause(stage) if paused else commands.Resume(stage))
    write_output(f"{what} {verb}d\n")
    return ExitCode.OK


def _run_cycle(session: Session, _namespace: Namespace) -> int:
    if not session.call(commands.RunCycle(), bool):
        snapshot = session.state().snapshot
        reason = (
            f"cycle {snapshot.cycle.number} is still running"
            if snapshot.cycle.running
            else f"the pipeline is {snapshot.phase}"
        )
        raise Sp500tuiError(f"no cycle was started: {reason}")
    write_output("cycle started\n")
    return ExitCode.OK


def _stop(session: Session, namespace: Namespace) -> int:
    """Stop the pipeline and wait for its end; the exit code is that of the run."""
    level = ShutdownLevel.SPOOL if namespace.now else ShutdownLevel.DRAIN
    session.execute(commands.Stop(level))
    report = _await_end(session)
    if report is None:
        raise Sp500tuiError("the pipeline ended without a report; its log has the reason")
    if report.failure:
        write_message(plain(report.failure))
    write_output(f"stopped after {report.elapsed:,.1f} s: {report.ledger}\n")
    return exit_code(report)


def _await_end(session: Session) -> RunReport | None:
    """The report at the end of the run; None if the pipeline ends without one.

    Raises:
        NoAnswerError: it has not answered for `_SILENCE_LIMIT` seconds.
    """
    data, run = session.data, session.welcome.identity
    connection: Session | None = session
    answered = time.monotonic()
    with ExitStack() as connections:
        while True:
            try:
                if connection is None:
                    connection = connections.enter_context(Session(data))
                if connection.welcome.identity != run:
                    return None
                if (report := connection.state().report) is not None:
                    return report
                answered = time.monotonic()
            except NoPipelineError:
                return None
            except NoAnswerError:
                connection = None
                if time.monotonic() - answered > _SILENCE_LIMIT:
                    raise
            time.sleep(_POLL_INTERVAL)


_ACTIONS = {
    "status": _status,
    "scale": _scale,
    "pause": _pause,
    "resume": _resume,
    "run-cycle": _run_cycle,
    "stop": _stop,
}


def _stage(name: str) -> StageName:
    try:
        return StageName(name)
    except ValueError:
        near = suggestion(name, StageName) or f"the stages are {', '.join(StageName)}"
        raise ConfigurationError(f"unknown stage '{shown_value(name)}'; {near}") from None


def _workers(number: str) -> int:
    if (workers := whole_number(number, MIN_WORKERS, MAX_WORKERS)) is None:
        raise ConfigurationError(
            f"cannot scale to '{shown_value(number)}' workers; give a whole number from {MIN_WORKERS} to {MAX_WORKERS}"
        )
    return workers


def status_lines(welcome: Welcome, snapshot: Snapshot) -> list[str]:
    """The status as lines of text."""
    stages = [
        f"{stage_line(stage)}{'  paused' if stage.paused else ''}  {queue_beside(snapshot, stage)}".rstrip()
        for stage in snapshot.stages
    ]
    return [
        headline(snapshot),
        f"process {welcome.pid}, sp500tui {welcome.program}, running for {snapshot.uptime:,.0f} s",
        str(snapshot.ledger),
        *stages,
        *([lock_line(snapshot.interpreter_lock)] if snapshot.interpreter_lock is not None else []),
        *(f"! {reason}" for reason in snapshot.degraded),
        *([f"! {snapshot.failure}"] if snapshot.failure else []),
    ]


def lock_line(lock: LockSnapshot) -> str:
    """The interpreter lock over the last ten seconds as a line of text."""
    waits = f"a thread waits {lock.wait_ms:.1f} ms for it, at most {lock.longest_ms:.1f} ms"
    return f"interpreter lock: {lock.word}, held {lock.held:.0%} of the last 10 s; {waits}"


def status_json(welcome: Welcome, snapshot: Snapshot) -> dict[str, object]:
    """The status for `--json`: the report of the run so far, and its current state."""
    report = RunReport.from_snapshot(snapshot).as_json()
    del report["outcome"]
    lock = snapshot.interpreter_lock
    return {
        **report,
        "version": welcome.program,
        "pid": welcome.pid,
        "phase": snapshot.phase.value,
        "demo": snapshot.demo,
        "failure": snapshot.failure or None,
        "degraded": list(snapshot.degraded),
        "cycle": {
            "number": snapshot.cycle.number,
            "done": snapshot.cycle.done,
            "total": snapshot.cycle.total,
            "running": snapshot.cycle.running,
            "interval_seconds": snapshot.cycle.interval,
        },
        "queues": {
            queue.name.value: {
                "ready": queue.ready,
                "in_flight": queue.in_flight,
                "capacity": queue.capacity,
                "oldest_seconds": queue.oldest_age,
            }
            for queue in snapshot.queues
        },
        "stages": {
            stage.name.value: {
                "size": stage.size,
                "alive": stage.alive,
                "busy": stage.busy,
                "paused": stage.paused,
                "items": stage.items,
                "items_per_second": round(stage.rate, 3),
                "restarts": stage.restarts,
            }
            for stage in snapshot.stages
        },
        "interpreter_lock": None
        if lock is None
        else {
            "held": round(lock.held, 3),
            "wait_ms": round(lock.wait_ms, 3),
            "longest_ms": round(lock.longest_ms, 3),
            "state": lock.word,
        },
        "journal": {
            "batches": snapshot.journal.batches,
            "rows": snapshot.journal.rows,
            "bytes": snapshot.journal.bytes,
        },
    }
