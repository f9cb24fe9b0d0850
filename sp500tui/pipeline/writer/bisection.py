"""Commits a batch without the rows that the database rejects: the batch is halved until each of them is isolated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sp500tui.pipeline.journal.dead_letters import DeadLetter
from sp500tui.pipeline.writer.client import Answer
from sp500tui.storage import batch_codec
from sp500tui.storage.errors import is_bad_row, may_be_bad_row

_MAX_REFUSALS = 32
"""Parts of a batch that a trigger may refuse in a row before it is assumed to refuse every row."""


@dataclass(slots=True)
class Outcome:
    """The result of a batch, summed over its parts."""

    stored: int = 0
    """Rows that were new."""
    rejected: list[DeadLetter] = field(default_factory=list)
    """Rows that the database rejects permanently."""
    accepted: bool = False
    """Whether any part was committed."""
    refusals: list[Answer] = field(default_factory=list)
    """Answers of a trigger or other code of the database, which may concern one row or all of them."""


class UnavailableError(Exception):
    """The database refused a batch for a reason other than one of its rows."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.sqlstate = answer.sqlstate


def commit_batch(payload: bytes, commit: Callable[[bytes], Answer]) -> Outcome:
    """Commit a payload of `batch_codec`, in parts where the database rejects a row.

    Raises:
        UnavailableError: a part was refused for a reason other than one of its rows, or a trigger refuses every row.
            Parts may be committed; sending them again is harmless.
    """
    outcome = Outcome()
    _commit(payload, commit, outcome)
    if len(outcome.refusals) > 1 and not outcome.accepted:
        raise UnavailableError(outcome.refusals[-1])
    return outcome


def _commit(payload: bytes, commit: Callable[[bytes], Answer], outcome: Outcome) -> None:
    answer = commit(payload)
    if answer.committed:
        outcome.stored += answer.stored
        outcome.accepted = True
        return
    if not is_bad_row(answer.sqlstate):
        outcome.refusals.append(answer)
        exhausted = len(outcome.refusals) > _MAX_REFUSALS and not outcome.accepted
        if exhausted or not may_be_bad_row(answer.sqlstate):
            raise UnavailableError(answer)
    if batch_codec.count(payload) == 1:
        outcome.rejected.append(
            DeadLetter.of(batch_codec.decode(payload)[0], answer.message, answer.sqlstate)
        )
    else:
        for half in batch_codec.split(payload):
            _commit(half, commit, outcome)
