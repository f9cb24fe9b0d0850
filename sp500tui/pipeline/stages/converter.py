"""The converters: lease quotes, add the price in the second currency, and put the rows on the next queue."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sp500tui.model import ConvertedQuote, FetchedQuote
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.queue import LeasedQueue
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import batches_of
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.stages.fx import FxRates

_LEASE_SIZE = 500
_POLL_INTERVAL = 0.2


@dataclass(eq=False)
class ConverterStage:
    """The dependencies shared by all converters."""

    quotes: LeasedQueue[FetchedQuote]
    rows: LeasedQueue[ConvertedQuote]
    fx: FxRates
    latest_prices: LatestPrices

    def make_task(self, worker: Worker) -> ConverterTask:
        """Create the task of one converter."""
        return ConverterTask(self, worker)


class ConverterTask:
    """The work of one converter."""

    def __init__(self, stage: ConverterStage, worker: Worker) -> None:
        self._stage = stage
        self._worker = worker

    def run_once(self) -> None:
        """Convert one lease of quotes."""
        stage, worker = self._stage, self._worker
        lease = worker.take(stage.quotes, _LEASE_SIZE)
        if lease is None:
            return
        started = time.monotonic()
        currencies = {item.quote.currency for item in lease.items}
        # A worker that must finish soon stores rows without a converted price rather than lose them.
        while stage.fx.is_pending(currencies) and not (worker.stopping.is_set() or worker.pool.expedited):
            worker.set_state(WorkerState.RATE, f"waiting for a rate to {stage.fx.target}")
            stage.fx.wait_for_update(_POLL_INTERVAL)
        worker.start_work(f"{len(lease.items)} quotes", batches_of(lease.items))
        rows = [stage.fx.convert(item) for item in lease.items]
        worker.hand_over(f"handing over {len(rows)} rows")
        if worker.abandoned:
            return  # its lease was released, and another converter has the quotes
        stage.latest_prices.update(rows)
        if worker.put(stage.rows, rows, f"{len(rows)} rows wait for room in the rows queue", ack=lease):
            worker.finish_work(len(rows), time.monotonic() - started)

    def close(self) -> None:
        """Nothing to release."""
