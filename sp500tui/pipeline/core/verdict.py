"""Whether the pipeline keeps up, and what limits it, as part of the snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sp500tui.pipeline.core.names import StageName

ADDS_ONE = "+ adds one"
RESUMES = "p resumes"
RESUMES_STAGE = "P resumes the selected stage"
"""Advice that begins with the dashboard's default key."""


class VerdictKind(StrEnum):
    """The rule that a verdict comes from."""

    STARTING = "starting"
    KEEPS_UP = "keeps up"
    LIMIT = "request limit"
    """Keeps up, and the request limit sets the pace."""
    FULL_QUEUE = "full queue"
    BEHIND = "behind"
    """A cycle takes longer than the interval."""
    PAUSED = "paused"
    NO_WORKERS = "no workers"
    """No node of the cluster runs a stage for which work waits."""
    SOURCE_DOWN = "source down"
    DATABASE_DOWN = "database down"
    JOURNAL_DOWN = "journal down"
    BROKER_DOWN = "broker down"
    ENDING = "ending"
    """Draining, spooling, stopped or failed."""


class Severity(StrEnum):
    """How much a verdict matters."""

    OK = "ok"
    NOTE = "note"
    """For information: nothing needs to be done."""
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the pipeline keeps up, and what limits it."""

    kind: VerdictKind = VerdictKind.STARTING
    severity: Severity = Severity.NOTE
    sentence: str = "starting"
    """`behind: a cycle takes 7.6 of 2.0 s: Yahoo Finance answers in 2.4 s`."""
    advice: str = ""
    """The advice on what would help, or would not: `+ adds one`, `more price workers would not help`."""
    stage: StageName | None = None
    """The stage that it refers to."""
