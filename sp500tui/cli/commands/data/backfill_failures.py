"""What `backfill` reports of the requests that brought no bars, whether it made them or a running pipeline did."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sp500tui.pipeline.core.snapshot import HistoryFailure


def failure_lines(failures: Collection[HistoryFailure]) -> list[str]:
    """A line for each symbol that was refused and each request that was not answered."""
    return [
        *_refused(failures).values(),
        *(f"failed: {each.request}: {each.reason}" for each in failures if not each.refused),
    ]


def failure_records(failures: Collection[HistoryFailure]) -> dict[str, list[dict[str, str]]]:
    """The same for `--json`."""
    return {
        "refused": [{"symbol": symbol, "reason": reason} for symbol, reason in _refused(failures).items()],
        "failed": [{"request": each.request, "reason": each.reason} for each in failures if not each.refused],
    }


def unanswered(failures: Collection[HistoryFailure]) -> list[str]:
    """The reasons of the requests that were not answered."""
    return [each.reason for each in failures if not each.refused]


def _refused(failures: Collection[HistoryFailure]) -> dict[str, str]:
    """Symbol → reason; a symbol may have been refused in several requests."""
    return {each.symbol: each.reason for each in failures if each.refused}
