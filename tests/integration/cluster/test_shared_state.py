"""State shared over a real broker: rates, missing symbols, the list of constituents, and the leases of batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sp500tui.cluster.broker import values as untrusted
from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.membership.membership import Membership
from sp500tui.cluster.node.broker_state import read_state
from sp500tui.cluster.queue.batch_store import LeaseBatchStore, LeasedBatch
from sp500tui.cluster.queue.codec import RowCodec
from sp500tui.cluster.queue.stream_queue import StreamQueue
from sp500tui.cluster.shared.state import SharedConstituents, SharedFxRates, SharedMissingSymbols
from sp500tui.model import Constituent, ConvertedQuote, FxRate
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.sources.wikipedia.client import ConstituentList
from sp500tui.storage import batch_codec as rowcodec
from tests.support.pipeline.rows import row

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LISTED = (
    Constituent("MMM", "3M", "Industrials", "Conglomerates", "Saint Paul", NOON.date(), "0000066740", "1902"),
    Constituent("BRK.B", "Berkshire", "Financials", "Holdings", "Omaha", None, "0001067983", "1839"),
)


def rate(value: str, at: datetime = NOON, base: str = "USD") -> FxRate:
    return FxRate(base, "DKK", Decimal(value), at)


class TestRates:
    def test_a_converter_has_the_rates_that_another_node_requested(self, broker: Broker) -> None:
        asking, converting = SharedFxRates("DKK", broker), SharedFxRates("DKK", broker)
        asking.register(["EUR"])
        asking.update([rate("6.87"), rate("7.46", base="EUR")])
        assert not converting.is_pending(["USD", "EUR"])
        assert converting.primary()[1] == rate("6.87")
        assert not converting.unknown_pairs()

    def test_an_unknown_rate_is_waited_for(self, broker: Broker) -> None:
        assert SharedFxRates("DKK", broker).is_pending(["GBp"])

    def test_the_newer_of_two_rates_wins(self, broker: Broker) -> None:
        book = SharedFxRates("DKK", broker)
        book.update([rate("6.87")])
        older, newer = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
        book.merge({"USD": b'["6.50", "%s"]' % older.isoformat().encode()})
        assert book.primary()[1] == rate("6.87")
        book.merge({"USD": b'["6.90", "%s"]' % newer.isoformat().encode()})
        assert book.primary()[1] == rate("6.90", newer)

    @pytest.mark.parametrize("text", [b"", b"null", b'["x", "y"]', b'["6.5"]', b"\xff"])
    def test_an_unreadable_rate_is_none(self, broker: Broker, text: bytes) -> None:
        book = SharedFxRates("DKK", broker)
        book.merge({"USD": text})
        assert book.primary()[1] is None


def missing_on(broker: Broker) -> dict[str, str]:
    return dict(Membership(broker, "any", "DKK").view(details=False).missing)


def test_missing_symbols_are_shared_by_all_nodes(broker: Broker) -> None:
    one, other = SharedMissingSymbols(broker), SharedMissingSymbols(broker)
    one.add([("AAPL", "no answer"), ("MSFT", "no answer"), ("GONE", "left the index")])
    other.merge(missing_on(broker))
    other.discard(["MSFT", "NVDA"])
    assert missing_on(broker) == {"AAPL": "no answer", "GONE": "left the index"}
    other.retain(["AAPL", "MSFT"])
    assert missing_on(broker) == {"AAPL": "no answer"}
    one.merge(missing_on(broker))
    assert [each.symbol for each in one.snapshot()] == ["AAPL"]


@dataclass
class Listing:
    """A source of lists."""

    found: ConstituentList

    def load(self) -> ConstituentList:
        return self.found


class TestList:
    def version(self, broker: Broker) -> str:
        return Membership(broker, "any", "DKK").view(details=False).list_version

    def test_all_nodes_use_the_list_of_the_scheduler(self, broker: Broker) -> None:
        source = Listing(ConstituentList(LISTED, "wikipedia", NOON, ""))
        scheduler = SharedConstituents(lambda: source, ("BRK.B",), 3600, broker)
        other = SharedConstituents(lambda: source, (), 3600, broker)
        other.refresh_from(self.version(broker))
        assert other.snapshot().health is Health.STARTING
        scheduler.refresh()
        other.refresh_from(self.version(broker))
        assert other.listed == LISTED
        assert other.symbols == ("BRK.B",)
        assert other.snapshot() == scheduler.snapshot()
        assert other.snapshot().health is Health.OK
        assert other.revision == 1
        other.refresh_from(self.version(broker))
        assert other.revision == 1

    def test_an_unreadable_list_is_reported_and_the_current_one_is_kept(
        self, broker: Broker, caplog: pytest.LogCaptureFixture
    ) -> None:
        untrusted.warn_once.cache_clear()
        broker.run("set_fields", [broker.key("list")], ["version", "1", "record", "{}"])
        current_constituents = SharedConstituents(
            lambda: Listing(ConstituentList(LISTED, "wikipedia", NOON, "")), ("AAPL",), 3600, broker
        )
        current_constituents.refresh_from("1")
        assert current_constituents.symbols == ("AAPL",)
        assert "ignored an invalid value on the broker, the list of constituents" in caplog.text


class TestCustody:
    """Rows between the queue and the commit are leased, and counted once."""

    @pytest.fixture
    def rows(self, broker: Broker) -> StreamQueue[ConvertedQuote]:
        return StreamQueue(
            broker, "rows", RowCodec(lambda: broker.offset), 100, consumer="here", dead_counter="dead"
        )

    def admitted(
        self, batch_store: LeaseBatchStore, rows: StreamQueue[ConvertedQuote], count: int
    ) -> LeasedBatch:
        rows.put([row(number) for number in range(count)])
        lease = rows.take(count)
        assert lease is not None
        batch = batch_store.accept(lease, rowcodec.encode(lease.items))
        assert batch is not None
        return batch

    def test_a_committed_batch_is_counted_with_the_end_of_its_lease(
        self, broker: Broker, rows: StreamQueue[ConvertedQuote]
    ) -> None:
        batch_store = LeaseBatchStore()
        batch = self.admitted(batch_store, rows, 5)
        assert rows.depth().in_flight == 5
        batch_store.complete(batch, stored=3, dead=1)
        assert (rows.depth().ready, rows.depth().in_flight) == (0, 0)
        counters = read_state(broker).counters
        assert (counters["stored"], counters["duplicate"], counters["dead"]) == (3, 1, 1)

    def test_an_uncommitted_batch_is_available_to_all_nodes_again(
        self, rows: StreamQueue[ConvertedQuote]
    ) -> None:
        batch_store = LeaseBatchStore()
        batch_store.requeue(self.admitted(batch_store, rows, 5))
        assert (rows.depth().ready, rows.depth().in_flight) == (5, 0)
        assert not batch_store.has_pending

    def test_a_batch_that_crashed_its_writer_is_kept_on_the_node_and_bisected(
        self, broker: Broker, rows: StreamQueue[ConvertedQuote]
    ) -> None:
        # given a batch that is bisected
        batch_store = LeaseBatchStore()
        batch = self.admitted(batch_store, rows, 4)
        batch.crashes = 3
        batch_store.requeue(batch)
        again = batch_store.take_pending()
        assert again is batch
        batch_store.split(batch, rowcodec.split(batch.payload), crashes=2)

        # when one part is committed and the other rejected
        first, second = batch_store.take_pending(), batch_store.take_pending()
        assert first is not None
        assert second is not None
        assert batch_store.take_pending() is None
        assert (first.rows, first.crashes) == (2, 2)
        batch_store.complete(first, stored=2, dead=0)
        assert rows.depth().in_flight == 4, "the lease lasts until all is settled"
        batch_store.complete(second, stored=0, dead=2)

        # then the lease has ended and everything is counted
        assert rows.depth().in_flight == 0
        assert read_state(broker).counters == {"stored": 2, "duplicate": 0, "dead": 2}

    def test_refused_rows_are_counted_as_the_others_go_back(
        self, broker: Broker, rows: StreamQueue[ConvertedQuote]
    ) -> None:
        batch_store = LeaseBatchStore()
        rows.put([row(number) for number in range(3)])
        lease = rows.take(3)
        assert lease is not None
        batch_store.dead_letter(lease, lease.items[:2], 1)
        assert (rows.depth().ready, rows.depth().in_flight) == (2, 0)
        assert read_state(broker).counters == {"dead": 1}

    def test_a_lost_lease_counts_nothing(self, broker: Broker, rows: StreamQueue[ConvertedQuote]) -> None:
        batch_store = LeaseBatchStore()
        batch = self.admitted(batch_store, rows, 3)
        broker.run("reclaim", [rows.key], ["here"])
        batch_store.complete(batch, stored=3, dead=0)
        assert rows.depth().ready == 3
        assert read_state(broker).counters == {}

    def test_a_node_that_leaves_keeps_nothing(self, rows: StreamQueue[ConvertedQuote]) -> None:
        batch_store = LeaseBatchStore()
        batch = self.admitted(batch_store, rows, 4)
        batch_store.split(batch, rowcodec.split(batch.payload), crashes=2)
        batch_store.release_all()
        assert (rows.depth().ready, rows.depth().in_flight) == (4, 0)
        assert not batch_store.has_pending
