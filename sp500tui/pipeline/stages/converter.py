"""The converters: a lease of quotes, a price in the second currency beside each, a hand-over of rows."""

from __future__ import annotations

import time

from sp500tui.model import ConvertedQuote, FetchedQuote
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.queue import LeasedQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.stages.fx import FxRates

_LEASE_SIZE = 500
_POLL_INTERVAL = 0.2


class ConverterStage:
    """What all converters share, and the maker of their bodies."""

    def __init__(
        self,
        quotes: LeasedQueue[FetchedQuote],
        rows: LeasedQueue[ConvertedQuote],
        *,
        fx: FxRates,
        latest_prices: LatestPrices,
    ) -> None:
        self.quotes = quotes
        self.rows = rows
        self.fx = fx
        self.latest_prices = latest_prices

    def make_task(self, worker: Worker) -> ConverterTask:
        """One converter's body."""
        return ConverterTask(self, worker)


class ConverterTask:
    """One converter."""

    def __init__(self, shared: ConverterStage, worker: Worker) -> None:
        self._shared = shared
        self._worker = worker

    def run_once(self) -> None:
        """Convert one lease of quotes."""
        shared, worker = self._shared, self._worker
        lease = worker.take(shared.quotes, _LEASE_SIZE)
        if lease is None:
            return
        started = time.monotonic()
        currencies = {item.quote.currency for item in lease.items}
        # In a hurry a row without its converted price is better than a quote that never reaches the disk.
        while shared.fx.is_pending(currencies) and not (worker.stopping.is_set() or worker.pool.expedited):
            worker.set_state(WorkerState.WAITING, f"the rate to {shared.fx.target} has not come yet")
            shared.fx.wait(_POLL_INTERVAL)
        worker.start_work(f"{len(lease.items)} quotes")
        rows = [shared.fx.convert(item) for item in lease.items]
        worker.set_state(WorkerState.BLOCKED, f"{len(rows)} rows wait for room in the rows queue")
        if worker.abandoned:
            return  # its lease was released, and another converter has the quotes
        shared.latest_prices.show(rows)
        if shared.rows.put(rows, ack=lease):
            worker.finish_work(len(rows), time.monotonic() - started)

    def close(self) -> None:
        """Nothing to give back."""
