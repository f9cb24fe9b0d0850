"""A batch is committed without the rows that the database rejects."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from sp500tui.lessons.sample_rows import sample_rows
from sp500tui.pipeline.writer.bisection import UnavailableError, commit_batch
from sp500tui.pipeline.writer.client import Answer
from sp500tui.storage import batch_codec

ROWS = sample_rows(0, 64)
PAYLOAD = batch_codec.encode(ROWS)
SYMBOLS = {row.quote.symbol for row in ROWS}
NOT_NULL, RAISED, SHUTDOWN = "23502", "P0001", "57P01"


@dataclass
class Database:
    """Rejects every part that has one of some symbols."""

    rejected: set[str]
    sqlstate: str
    stored: set[str] = field(default_factory=set)
    parts: int = 0

    def commit(self, payload: bytes) -> Answer:
        self.parts += 1
        symbols = {str(record["symbol"]) for record in batch_codec.decode(payload)}
        if symbols & self.rejected:
            return Answer(committed=False, sqlstate=self.sqlstate, message="rejected")
        self.stored |= symbols
        return Answer(committed=True, stored=len(symbols))


@pytest.mark.parametrize("sqlstate", [NOT_NULL, RAISED])
@pytest.mark.parametrize("rejected", [set(), {"S0"}, {"S63"}, {"S17", "S18", "S40"}])
def test_every_row_but_the_rejected_ones_is_stored(rejected: set[str], sqlstate: str) -> None:
    database = Database(rejected, sqlstate)
    outcome = commit_batch(PAYLOAD, database.commit)
    assert database.stored == SYMBOLS - rejected
    assert outcome.stored == len(ROWS) - len(rejected)
    assert {letter.row["symbol"] for letter in outcome.rejected} == rejected
    assert all((letter.reason, letter.sqlstate) == ("rejected", sqlstate) for letter in outcome.rejected)


def test_one_rejected_row_costs_two_parts_for_each_halving() -> None:
    database = Database({"S17"}, NOT_NULL)
    commit_batch(PAYLOAD, database.commit)
    assert database.parts == 1 + 2 * 6


def test_rows_that_a_constraint_rejects_are_all_rejected() -> None:
    outcome = commit_batch(PAYLOAD, Database(SYMBOLS, NOT_NULL).commit)
    assert len(outcome.rejected) == len(ROWS)
    assert not outcome.accepted


def test_a_trigger_that_refuses_every_row_rejects_none_and_is_not_tried_with_each() -> None:
    database = Database(SYMBOLS, RAISED)
    with pytest.raises(UnavailableError, match="rejected") as refused:
        commit_batch(PAYLOAD, database.commit)
    assert refused.value.sqlstate == RAISED
    assert database.parts == 33


def test_a_single_row_that_a_trigger_refuses_is_rejected() -> None:
    outcome = commit_batch(batch_codec.encode(ROWS[:1]), Database({"S0"}, RAISED).commit)
    assert [letter.row["symbol"] for letter in outcome.rejected] == ["S0"]


def test_an_outage_ends_the_commit_at_its_first_part() -> None:
    database = Database({"S17"}, SHUTDOWN)
    with pytest.raises(UnavailableError):
        commit_batch(PAYLOAD, database.commit)
    assert database.parts == 1
