"""Conservation in the journal, whatever happens to the program and to the end of its file.

A batch that was wholly written and is not settled comes back; none is invented; a settled one comes back only
where its mark was cut off.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sp500tui.pipeline.core.ledger import LedgerCounters
from sp500tui.pipeline.journal.journal import Batch, Journal
from sp500tui.storage import batch_codec as rowcodec
from tests.support.pipeline.rows import leased, row, symbols_of
from tests.unit.pipeline.journal.test_segment import abandon


@dataclass
class Written:
    """The end of a record of the running program in its file."""

    symbols: frozenset[str]
    end: int
    settled_end: int | None = None
    """The end of its settlement mark."""


class JournalMachine(RuleBasedStateMachine):
    """A program that takes rows over, is killed at any moment, and starts again."""

    @initialize()
    def begin(self) -> None:
        numbers = itertools.count()
        # The files of earlier runs are replayed in the order of their names; random ones make an example differ when
        # it is repeated.
        self.names = patch("secrets.token_hex", lambda _: f"{next(numbers):08x}")
        self.names.start()
        self.folder = Path(tempfile.mkdtemp(prefix="journal-machine-"))
        self.next = 0
        self.unsettled: set[str] = set()
        """Symbols that must be in the journal."""
        self.maybe: set[str] = set()
        """Settled symbols whose mark was cut off: they may be returned again."""
        self.start_program()

    def start_program(self) -> None:
        self.counters = LedgerCounters()
        self.journal = Journal(self.folder, self.counters, limit_bytes=1 << 20)
        rows = self.journal.open()
        self.hands: list[Batch] = []
        self.written: list[Written] = []
        found = self._waiting_symbols()
        assert self.unsettled <= found, "a batch was lost"
        assert found <= self.unsettled | self.maybe, "a batch was invented"
        assert rows == len(found)
        # A batch that was returned again has to be settled again.
        self.unsettled, self.maybe = found, set()

    def _waiting_symbols(self) -> set[str]:
        batches = []
        while (batch := self.journal.take_pending()) is not None:
            batches.append(batch)
        symbols: list[str] = []
        for batch in reversed(batches):
            symbols += [str(symbol) for symbol in symbols_of(batch.payload)]
            self.journal.requeue(batch)
        assert len(symbols) == len(set(symbols)), "a row came back twice"
        return set(symbols)

    @property
    def _own(self) -> int:
        segments = self.journal.segments()
        return segments[-1].size if segments else 0

    @rule(count=st.integers(1, 5))
    def accept(self, count: int) -> None:
        rows = [row(number) for number in range(self.next, self.next + count)]
        self.next += count
        batch = self.journal.accept(leased(self.counters, rows), rowcodec.encode(rows))
        assert batch is not None
        self.hands.append(batch)
        symbols = frozenset(one.quote.symbol for one in rows)
        self.unsettled |= symbols
        self.written.append(Written(symbols, self._own))

    @rule()
    def take(self) -> None:
        batch = self.journal.take_pending()
        if batch is not None:
            self.hands.append(batch)

    @precondition(lambda self: self.hands)
    @rule(which=st.integers(0), stored=st.integers(0, 5))
    def settle(self, which: int, stored: int) -> None:
        batch = self.hands.pop(which % len(self.hands))
        symbols = frozenset(str(symbol) for symbol in symbols_of(batch.payload))
        self.journal.complete(batch, stored=min(stored, batch.rows), dead=0)
        self.unsettled -= symbols
        for record in self.written:
            if record.symbols == symbols:
                record.settled_end = self._own

    @precondition(lambda self: self.hands)
    @rule(which=st.integers(0))
    def release(self, which: int) -> None:
        self.journal.requeue(self.hands.pop(which % len(self.hands)))

    @precondition(lambda self: self.hands)
    @rule(which=st.integers(0))
    def split(self, which: int) -> None:
        batch = self.hands.pop(which % len(self.hands))
        if batch.rows == 1:
            self.journal.requeue(batch)
            return
        symbols = frozenset(str(symbol) for symbol in symbols_of(batch.payload))
        pieces = rowcodec.split(batch.payload)
        self.journal.split(batch, pieces, crashes=2)
        # A cut after this point may remove the parts, or restore the whole batch in addition to them.
        self.written = [record for record in self.written if record.symbols != symbols]
        self.written.append(Written(frozenset(), self._own))

    @rule()
    def crash_and_start_again(self) -> None:
        for segment in self.journal.segments():
            abandon(segment)
        self.start_program()

    @precondition(lambda self: self.written and all(record.symbols for record in self.written))
    @rule(data=st.data())
    def crash_with_the_end_of_the_file_cut(self, data: st.DataObject) -> None:
        """Truncate the file anywhere, which is worse than the loss of unsynced data in a power failure."""
        segment = self.journal.segments()[-1]
        cut = data.draw(st.integers(0, segment.size))
        path = segment.path
        for each in self.journal.segments():
            abandon(each)
        os.truncate(path, cut)
        for record in self.written:
            if record.end > cut:
                self.unsettled -= record.symbols
            elif record.settled_end is not None and record.settled_end > cut:
                self.maybe |= record.symbols
        self.start_program()

    @rule()
    def end_in_order_and_start_again(self) -> None:
        for batch in self.hands:
            self.journal.requeue(batch)
        self.journal.close()
        self.start_program()

    @invariant()
    def every_row_is_counted_once(self) -> None:
        with self.counters.lock:
            settled = self.counters.stored + self.counters.duplicate + self.counters.dead
            assert self.counters.fetched == settled + self.journal.in_progress + self.journal.spooled

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            shutil.rmtree(self.folder)
        if hasattr(self, "names"):
            self.names.stop()


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
