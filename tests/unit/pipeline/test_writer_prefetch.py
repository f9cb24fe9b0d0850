"""While one batch is being committed, the writer has the next in the journal, if it is full."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sp500tui.pipeline.writer.client import WriterDiedError
from tests.support.faults_database import RefusedError
from tests.support.faults_rows import row
from tests.support.faults_writers import Desk, Open

Wait = Callable[[Callable[[], object]], None]


def waits_for_a_commit(desk: Desk, rows: int) -> threading.Event:
    """Put rows, with a database that commits nothing before the event is set."""
    go = threading.Event()

    def hold(_symbols: list[str]) -> None:
        assert go.wait(10)

    desk.database.before_commit = hold
    desk.put([row(number) for number in range(rows)])
    return go


def test_the_next_full_batch_is_in_the_journal_before_the_answer(open_desk: Open, eventually: Wait) -> None:
    with open_desk(batch=10) as desk:
        go = waits_for_a_commit(desk, 30)
        eventually(lambda: desk.database.batches)
        assert desk.journal.in_progress == 20, "the batch at the database, and the one behind it"
        assert desk.rows.depth().ready == 10, "no more than one"
        go.set()
        eventually(desk.settled)
        assert [len(batch) for batch in desk.database.batches] == [10, 10, 10]


def test_rows_that_fill_no_batch_wait_for_company(open_desk: Open, eventually: Wait) -> None:
    with open_desk(batch=10) as desk:
        go = waits_for_a_commit(desk, 19)
        eventually(lambda: desk.database.batches)
        assert desk.journal.in_progress == 10
        go.set()
        eventually(desk.settled)


def test_a_refused_batch_stays_before_the_one_behind_it(open_desk: Open, eventually: Wait) -> None:
    with open_desk(batch=10) as desk:
        refusals = iter([RefusedError("53100", "disk full")])

        def refuse_once(_symbols: list[str]) -> None:
            for refusal in refusals:
                raise refusal

        desk.database.before_commit = refuse_once
        desk.put([row(number) for number in range(20)])
        eventually(desk.settled)
        assert len(desk.database.rows) == 20
        first = [batch[0] for batch in desk.database.batches]
        assert first[0] == first[1], "the refused one comes again before the other"


def test_a_writer_that_dies_leaves_both_batches_to_the_next(open_desk: Open, eventually: Wait) -> None:
    with open_desk(batch=10) as desk:
        crashes = iter([WriterDiedError("ended by signal 9", crashed=True)])

        def die_once(_symbols: list[str]) -> None:
            for death in crashes:
                raise death

        desk.database.after_commit = die_once
        desk.put([row(number) for number in range(20)])
        eventually(desk.settled)
        assert len(desk.database.rows) == 20
        assert (desk.ledger().stored, desk.ledger().duplicate) == (10, 10)


@pytest.mark.parametrize("replaced", [False, True], ids=["scaled-down", "replaced"])
def test_a_writer_that_is_to_leave_takes_no_more(open_desk: Open, eventually: Wait, replaced: bool) -> None:
    with open_desk(batch=10) as desk:
        go = waits_for_a_commit(desk, 40)
        eventually(lambda: desk.database.batches)
        worker = desk.stage.workers[0]
        if replaced:
            worker.abandoned = True
        else:
            worker.stopping.set()
        go.set()
        eventually(lambda: not desk.stage.workers)
        # The batch that was ready is committed by who leaves in good order; one that was replaced leaves it.
        ledger = desk.ledger()
        assert (ledger.stored, ledger.spooled) == ((10, 10) if replaced else (20, 0))
        assert desk.rows.depth().ready == 20
        desk.stage.scale(2)
        eventually(desk.settled)
