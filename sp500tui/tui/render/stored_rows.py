"""Rendering of rows of the table `prices`: lines below a heading, with the columns that fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sp500tui.price_text import change_text, price_text
from sp500tui.tui.render.formats import (
    MOMENT_WIDTH,
    arrow,
    clean,
    count,
    fit,
    fit_number,
    format_change,
    format_time,
    milliseconds,
)
from sp500tui.tui.render.lines import Line, Role, Span, change_role, cut

if TYPE_CHECKING:
    from sp500tui.storage.reads import StoredRow

_GAP = "  "


@dataclass(frozen=True, slots=True)
class _Column:
    """One column; columns of a low rank are shown first."""

    title: str
    width: int
    rank: int
    text: Callable[[StoredRow, datetime], str]
    role: Callable[[StoredRow], Role] = lambda _: Role.VALUE
    align: str = "right"


def _muted(_row: StoredRow) -> Role:
    return Role.LABEL


def _storing_time(row: StoredRow) -> str:
    """Time from the fetch to the commit, by the clocks of both machines."""
    return milliseconds(1000 * (row.stored_at - row.fetched_at).total_seconds())


def _change_text(row: StoredRow, _now: datetime) -> str:
    text = fit_number(change_text(row.change, row.price), row.change, 9)
    return f"{arrow(text)} {text:>8}"


def _rate_text(rate: Decimal | None) -> str:
    """Four decimals, as in currency pairs; more for a rate below one."""
    return f"{rate:.4f}" if rate is not None and rate >= 1 else price_text(rate)


_SYMBOL = _Column("symbol", 6, 0, lambda row, _: clean(row.symbol), lambda _: Role.TITLE, "left")
_COLUMNS = (
    _Column("traded", MOMENT_WIDTH, 0, lambda row, now: format_time(row.quote_time, now), align="left"),
    _Column(
        "price", 14, 0, lambda row, _: f"{price_text(row.price)} {clean(row.currency)}", lambda _: Role.TITLE
    ),
    _Column(
        "change",
        11,
        2,
        _change_text,
        lambda row: change_role(change_text(row.change, row.price)),
    ),
    _Column(
        "change %",
        10,
        1,
        lambda row, _: format_change(row.percent_change, " %"),
        lambda row: change_role(format_change(row.percent_change)),
    ),
    _Column(
        "converted",
        15,
        3,
        lambda row, _: f"{price_text(row.converted_price)} {clean(row.converted_currency)}",
    ),
    _Column("rate", 9, 7, lambda row, _: _rate_text(row.fx_rate), _muted),
    _Column("volume", 13, 6, lambda row, _: "–" if row.volume is None else count(row.volume), _muted),
    _Column("session", 8, 8, lambda row, _: clean(row.market_state).lower(), _muted, "left"),
    _Column("fetched", MOMENT_WIDTH, 5, lambda row, now: format_time(row.fetched_at, now), _muted, "left"),
    _Column("stored", MOMENT_WIDTH, 4, lambda row, now: format_time(row.stored_at, now), align="left"),
    _Column("took", 8, 9, lambda row, _: _storing_time(row), _muted),
)


def stored_lines(
    rows: Sequence[StoredRow], now: datetime, width: int, height: int, *, with_symbol: bool
) -> list[Line]:
    """A heading and the rows below it, at most `height` lines of `width` cells."""
    columns = _fitting((_SYMBOL, *_COLUMNS) if with_symbol else _COLUMNS, width)
    heading = _GAP.join(fit(column.title, column.width, column.align) for column in columns)
    lines = [cut((Span(heading, Role.LABEL),), width)]
    for row in rows[: max(0, height - 1)]:
        spans: list[Span] = []
        for column in columns:
            if spans:
                spans.append(Span(_GAP))
            spans.append(Span(fit(column.text(row, now), column.width, column.align), column.role(row)))
        lines.append(cut(spans, width))
    return lines


def _fitting(columns: Sequence[_Column], width: int) -> list[_Column]:
    """The columns of the lowest ranks that fit, in their usual order."""
    kept: list[_Column] = []
    left = width + len(_GAP)
    for column in sorted(columns, key=lambda column: column.rank):
        left -= column.width + len(_GAP)
        if left < 0:
            break
        kept.append(column)
    return [column for column in columns if column in kept]
