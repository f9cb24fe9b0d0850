"""The names of the stages and of the queues between them."""

from __future__ import annotations

from enum import StrEnum


class StageName(StrEnum):
    """The four stages, in the order of the data flow."""

    SCRAPER = "scraper"
    PRICE = "price"
    CONVERTER = "converter"
    WRITER = "writer"


class QueueName(StrEnum):
    """The three queues between the stages, in the order of the data flow."""

    TICKERS = "tickers"
    QUOTES = "quotes"
    ROWS = "rows"
