"""While one batch is being committed, the writer has the next in the journal, if it is full."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sp500tui.pipeline.writer.client import WriterDiedError
from tests.support.pipeline.fake_database import RefusedError
from tests.support.pipeline.rows import row
from tests.support.pipeline.writer_harness import Open, WriterHarness
from tests.support.waiting import Wait


def waits_for_a_commit(harness: WriterHarness, rows: int) -> threading.Event:
    """Put rows, with a database that commits nothing before the event is set."""
    go = threading.Event()

    def hold(_symbols: list[str]) -> None:
        assert go.wait(60)

    harness.database.before_commit = hold
    harness.put([row(number) for number in range(rows)])
    return go


def raise_once(error: Exception) -> Callable[[list[str]], None]:
    """A hook of the fake database that fails at its first call."""
    errors = [error]

    def fail(_symbols: list[str]) -> None:
        if errors:
            raise errors.pop()

    return fail


def test_the_next_full_batch_is_in_the_journal_before_the_answer(
    open_writers: Open, eventually: Wait
) -> None:
    with open_writers(batch=10) as harness:
        go = waits_for_a_commit(harness, 30)
        eventually(lambda: harness.database.batches)
        assert harness.journal.in_progress == 20, "the batch at the database, and the one behind it"
        assert harness.rows.depth().ready == 10, "no more than one"
        go.set()
        eventually(harness.settled)
        assert [len(batch) for batch in harness.database.batches] == [10, 10, 10]


def test_a_partial_batch_is_not_prefetched(open_writers: Open, eventually: Wait) -> None:
    with open_writers(batch=10) as harness:
        go = waits_for_a_commit(harness, 19)
        eventually(lambda: harness.database.batches)
        assert harness.journal.in_progress == 10
        go.set()
        eventually(harness.settled)


def test_a_rejected_batch_stays_before_the_prefetched_one(open_writers: Open, eventually: Wait) -> None:
    with open_writers(batch=10) as harness:
        harness.database.before_commit = raise_once(RefusedError("53100", "disk full"))
        harness.put([row(number) for number in range(20)])
        eventually(harness.settled)
        assert len(harness.database.rows) == 20
        first = [batch[0] for batch in harness.database.batches]
        assert first[0] == first[1], "the refused one comes again before the other"


def test_both_batches_of_a_writer_that_died_are_written_by_the_next(
    open_writers: Open, eventually: Wait
) -> None:
    with open_writers(batch=10) as harness:
        harness.database.after_commit = raise_once(WriterDiedError("ended by signal 9", crashed=True))
        harness.put([row(number) for number in range(20)])
        eventually(harness.settled)
        assert len(harness.database.rows) == 20
        assert (harness.ledger().stored, harness.ledger().duplicate) == (10, 10)


@pytest.mark.parametrize("replaced", [False, True], ids=["scaled-down", "replaced"])
def test_a_stopping_writer_prefetches_nothing(open_writers: Open, eventually: Wait, replaced: bool) -> None:
    with open_writers(batch=10) as harness:
        go = waits_for_a_commit(harness, 40)
        eventually(lambda: harness.database.batches)
        worker = harness.stage.workers[0]
        if replaced:
            worker.abandoned = True
        else:
            worker.stopping.set()
        go.set()
        eventually(lambda: not harness.stage.workers)
        # A writer that ends normally commits its ready batch; one that was replaced does not.
        ledger = harness.ledger()
        assert (ledger.stored, ledger.spooled) == ((10, 10) if replaced else (20, 0))
        assert harness.rows.depth().ready == 20
        harness.stage.scale(2)
        eventually(harness.settled)
