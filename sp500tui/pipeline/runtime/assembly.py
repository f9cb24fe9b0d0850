"""How the stages are joined: which queue, book and source each one's bodies work with, here or in a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.events import PipelineEvent
from sp500tui.pipeline.core.latest_prices import PriceBoard
from sp500tui.pipeline.core.metrics import Books
from sp500tui.pipeline.core.queue import LeasedQueue
from sp500tui.pipeline.core.queue_items import Fetched, Ticker
from sp500tui.pipeline.core.snapshot import StageName
from sp500tui.pipeline.core.worker_pool import Body, Stage, Worker
from sp500tui.pipeline.runtime.sources import Upstream
from sp500tui.pipeline.stages.converter import Conversion
from sp500tui.pipeline.stages.fetcher import MissingBook, Pricing
from sp500tui.pipeline.stages.fx import FxBook
from sp500tui.pipeline.stages.schedule import Cycles
from sp500tui.pipeline.stages.scraper import Roster, Scraping
from sp500tui.pipeline.stages.source_health import SourceWatches
from sp500tui.pipeline.writer.worker import Writing

_GIVE_UP_AFTER = 60.0
"""Seconds a symbol is tried for within one cycle."""
_REQUESTS_AT_MOST = 12
"""Time limits of one request that a piece of work which asks the outside world can take, with time to spare."""
_HANG_AFTER = 120.0
"""Seconds that a lease may be in a worker's hand where nothing makes it longer."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """What the stages work on; they neither know nor care whether it is shared with other machines."""

    world: Callable[[], Upstream]
    asked: LeasedQueue[Ticker]
    """Where the scraper puts tickers: the tickers queue, or a guard before it."""
    tickers: LeasedQueue[Ticker]
    quotes: LeasedQueue[Fetched]
    rows: LeasedQueue[Any]
    books: Books
    fx: FxBook
    missing: MissingBook
    board: PriceBoard
    roster: Roster
    cycles: Cycles
    writing: Writing[Any]
    watches: SourceWatches

    def stages(
        self,
        settings: Settings,
        sizes: Mapping[StageName, int],
        *,
        tell: Callable[[PipelineEvent], None],
        cycles_ended: Callable[[], None],
    ) -> dict[StageName, Stage]:
        """The stages named in `sizes`, in the order of the data, with so many workers each; not started yet."""
        scraping = Scraping(self.roster, self.cycles, self.asked, ended=cycles_ended)
        conversion = Conversion(self.quotes, self.rows, fx=self.fx, board=self.board)
        makers: dict[StageName, Callable[[Worker], Body]] = {
            StageName.SCRAPER: scraping.make_body,
            StageName.PRICE: self._pricing(settings).make_body,
            StageName.CONVERTER: conversion.make_body,
            StageName.WRITER: self.writing.make_body,
        }
        # A writer guards its own commits; its limit here is for a thread that hangs elsewhere.
        limits = {
            StageName.SCRAPER: _REQUESTS_AT_MOST * settings.request_timeout,
            StageName.PRICE: _REQUESTS_AT_MOST * settings.request_timeout,
            StageName.WRITER: 20 * settings.commit_timeout,
        }
        stages = {
            name: Stage(name, make_body, sizes[name], listener=tell, hang_after=limits.get(name, _HANG_AFTER))
            for name, make_body in makers.items()
            if name in sizes
        }
        if StageName.SCRAPER in stages:
            self.cycles.subscribe(stages[StageName.SCRAPER].nudge)
        return stages

    def _pricing(self, settings: Settings) -> Pricing:
        return Pricing(
            lambda: self.world().yahoo,
            self.tickers,
            self.quotes,
            books=self.books,
            fx=self.fx,
            missing=self.missing,
            batch_size=settings.batch_size,
            max_attempts=settings.max_attempts,
            give_up_after=_GIVE_UP_AFTER,
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
