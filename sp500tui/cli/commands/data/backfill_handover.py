"""Hands a backfill to the pipeline that runs on the same data folder: one request limit, and live prices come first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sp500tui.cli.commands.data.backfill_progress import Progress, Report
from sp500tui.errors import Sp500tuiError
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_message

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sp500tui.model import Resolution
    from sp500tui.pipeline.core.snapshot import HistoryFailure
    from sp500tui.remote.session import Session
    from sp500tui.storage.database import Database

_POLL_INTERVAL = 0.3


@dataclass(frozen=True, slots=True)
class Outcome:
    """The pipeline's result."""

    requests: int = 0
    completed: int = 0
    """Sessions that became complete."""
    incomplete: int = 0
    """Sessions for which the source did not have every bar."""
    failed: int = 0
    """Requests that were refused or not answered."""
    failures: tuple[HistoryFailure, ...] = ()
    """The latest of them."""
    problem: str = ""
    """The latest problem that the pipeline reported; empty without one."""

    @property
    def unanswered(self) -> int:
        """Requests that were not answered; those without a reason here count as such."""
        return self.failed - sum(each.refused for each in self.failures)


@contextmanager
def running_pipeline(data: Path, database: Database) -> Iterator[Session | None]:
    """A connection to the pipeline of a data folder that stores in this database; None if there is none."""
    session = _session(data)
    try:
        yield session if session is not None and _stores_in(session, database) else None
    finally:
        if session is not None:
            session.close()


def _session(data: Path) -> Session | None:
    from sp500tui.remote.address import NoPipelineError
    from sp500tui.remote.session import Session

    try:
        return Session(data)
    except NoPipelineError:
        return None
    except Sp500tuiError as error:
        write_message(plain(f"{error}; this program requests the bars itself, with its own request limit"))
        return None


def _stores_in(session: Session, database: Database) -> bool:
    return session.state().snapshot.database.url == database.masked_url


def hand_over(
    session: Session,
    resolution: Resolution,
    window: tuple[datetime, datetime],
    symbols: Sequence[str],
    report: Report,
) -> Outcome | None:
    """Have the pipeline fetch what is missing, and wait until it has; None if it does not accept the request.

    Raises:
        NoAnswerError: the pipeline has ended in the meantime.
    """
    from sp500tui.pipeline.api import HistorySnapshot
    from sp500tui.remote import commands

    before = session.call(commands.ReadHistory(), HistorySnapshot)
    if not session.call(commands.Heal(resolution, *window, tuple(symbols)), bool):
        return None
    pid = session.welcome.pid
    write_message(f"the running pipeline (process {pid}) fetches the bars; its live prices come first")
    try:
        while (now := session.call(commands.ReadHistory(), HistorySnapshot)).busy:
            done = now.requests_done - before.requests_done
            days = f"{now.sessions_completed - before.sessions_completed:,} days complete"
            report(Progress(done, done + now.requests_left, days, now.message or _paused(session)))
            time.sleep(_POLL_INTERVAL)
    except KeyboardInterrupt:
        write_message(
            f"the running pipeline (process {pid}) continues with it; `sp500tui pause history` interrupts it"
        )
        raise
    failed = now.failed - before.failed
    return Outcome(
        now.requests_done - before.requests_done,
        now.sessions_completed - before.sessions_completed,
        now.sessions_incomplete - before.sessions_incomplete,
        failed,
        now.failures[-failed:] if failed else (),
        now.problem,
    )


def _paused(session: Session) -> str:
    from sp500tui.pipeline.core.names import StageName

    stages = session.state().snapshot.stages
    paused = any(stage.paused and stage.name is StageName.HISTORY for stage in stages)
    return "the history stage is paused; `sp500tui resume history` resumes it" if paused else ""
