"""The names of the stages and of the queues between them."""

from __future__ import annotations

from enum import StrEnum


class StageName(StrEnum):
    """The stages: four in the order of the data flow, and the one that requests missing bars."""

    SCRAPER = "scraper"
    PRICE = "price"
    CONVERTER = "converter"
    WRITER = "writer"
    HISTORY = "history"


INTAKE = (StageName.SCRAPER, StageName.PRICE)
"""The stages that take quotes in: those that pausing the pipeline pauses."""


class QueueName(StrEnum):
    """The queues: three between the stages in the order of the data flow, and the requests for bars."""

    TICKERS = "tickers"
    QUOTES = "quotes"
    ROWS = "rows"
    HISTORY = "history"

    @property
    def items(self) -> str:
        """The noun for its items, in the plural."""
        return "requests for bars" if self is QueueName.HISTORY else str(self)
