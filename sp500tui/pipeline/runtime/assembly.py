"""How the stages are joined: which queue, book and source each one's bodies work with, here or in a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sp500tui.config.settings import Settings
from sp500tui.model import FetchedQuote, Ticker
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.metrics import LedgerCounters
from sp500tui.pipeline.core.queue import LeasedQueue
from sp500tui.pipeline.core.snapshot import StageName
from sp500tui.pipeline.core.worker import Worker, WorkerTask
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.pipeline.stages.converter import ConverterStage
from sp500tui.pipeline.stages.fetcher import FetchStage, MissingSymbols
from sp500tui.pipeline.stages.fx import FxRates
from sp500tui.pipeline.stages.schedule import CycleSchedule
from sp500tui.pipeline.stages.scraper import CurrentConstituents, ScraperStage
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.pipeline.writer.worker import WriterStage

_RETRY_TIMEOUT = 60.0
"""Seconds a symbol is tried for within one cycle."""
_REQUESTS_AT_MOST = 12
"""Time limits of one request that a piece of work which asks the outside world can take, with time to spare."""
_HANG_AFTER = 120.0
"""Seconds that a lease may be in a worker's hand where nothing makes it longer."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """What the stages work on; they neither know nor care whether it is shared with other machines."""

    world: Callable[[], Sources]
    asked: LeasedQueue[Ticker]
    """Where the scraper puts tickers: the tickers queue, or a guard before it."""
    tickers: LeasedQueue[Ticker]
    quotes: LeasedQueue[FetchedQuote]
    rows: LeasedQueue[Any]
    counters: LedgerCounters
    fx: FxRates
    missing: MissingSymbols
    latest_prices: LatestPrices
    current_constituents: CurrentConstituents
    cycles: CycleSchedule
    writer_stage: WriterStage[Any]
    watches: SourceWatches

    def stages(
        self,
        settings: Settings,
        sizes: Mapping[StageName, int],
        *,
        tell: Callable[[PipelineEvent], None],
        on_cycles_ended: Callable[[], None],
    ) -> dict[StageName, WorkerPool]:
        """The stages named in `sizes`, in the order of the data, with so many workers each; not started yet."""
        scraping = ScraperStage(
            self.current_constituents, self.cycles, self.asked, on_cycles_ended=on_cycles_ended
        )
        conversion = ConverterStage(self.quotes, self.rows, fx=self.fx, latest_prices=self.latest_prices)
        makers: dict[StageName, Callable[[Worker], WorkerTask]] = {
            StageName.SCRAPER: scraping.make_task,
            StageName.PRICE: self._pricing(settings).make_task,
            StageName.CONVERTER: conversion.make_task,
            StageName.WRITER: self.writer_stage.make_task,
        }
        # A writer guards its own commits; its limit here is for a thread that hangs elsewhere.
        limits = {
            StageName.SCRAPER: _REQUESTS_AT_MOST * settings.request_timeout,
            StageName.PRICE: _REQUESTS_AT_MOST * settings.request_timeout,
            StageName.WRITER: 20 * settings.commit_timeout,
        }
        stages = {
            name: WorkerPool(
                name, make_task, sizes[name], listener=tell, hang_after=limits.get(name, _HANG_AFTER)
            )
            for name, make_task in makers.items()
            if name in sizes
        }
        if StageName.SCRAPER in stages:
            self.cycles.subscribe(stages[StageName.SCRAPER].wake)
        return stages

    def _pricing(self, settings: Settings) -> FetchStage:
        return FetchStage(
            lambda: self.world().yahoo,
            self.tickers,
            self.quotes,
            counters=self.counters,
            fx=self.fx,
            missing=self.missing,
            batch_size=settings.batch_size,
            max_attempts=settings.max_attempts,
            retry_timeout=_RETRY_TIMEOUT,
            watches=self.watches,
        )


def usual_sizes(settings: Settings) -> dict[StageName, int]:
    """All stages, each with as many workers as the settings say."""
    return {
        StageName.SCRAPER: 1,
        StageName.PRICE: settings.price_workers,
        StageName.CONVERTER: settings.converters,
        StageName.WRITER: settings.writers,
    }
