"""What `backfill` reports of the requests that brought no bars, whether it made them or a running pipeline did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sp500tui.pipeline.core.snapshot import HistoryFailure


def failure_lines(failures: Iterable[HistoryFailure]) -> list[str]:
    """A line for each symbol that was refused and each request that was not answered."""
    failures = tuple(failures)
    refused = {each.symbol: each.reason for each in failures if each.refused}
    return [
        *refused.values(),
        *(f"failed: {each.request}: {each.reason}" for each in failures if not each.refused),
    ]


def failure_records(failures: Iterable[HistoryFailure]) -> dict[str, list[dict[str, str]]]:
    """The same for `--json`."""
    failures = tuple(failures)
    refused = {each.symbol: each.reason for each in failures if each.refused}
    return {
        "refused": [{"symbol": symbol, "reason": reason} for symbol, reason in refused.items()],
        "failed": [{"request": each.request, "reason": each.reason} for each in failures if not each.refused],
    }


def unanswered(failures: Iterable[HistoryFailure]) -> list[str]:
    """The reasons of the requests that were not answered."""
    return [each.reason for each in failures if not each.refused]
