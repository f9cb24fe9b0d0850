"""What waits for a stage that no node runs, in words."""

from __future__ import annotations

from collections.abc import Mapping

from sp500tui.cluster.membership.view import ClusterView
from sp500tui.pipeline.core.queue import Depth
from sp500tui.pipeline.core.snapshot import QueueName, StageName

_FEEDS = {
    QueueName.TICKERS: StageName.PRICE,
    QueueName.QUOTES: StageName.CONVERTER,
    QueueName.ROWS: StageName.WRITER,
}
_OLD = 5.0
"""Seconds that something may wait for a node that is only starting."""


def unserved_stages(roll: ClusterView, depths: Mapping[QueueName, Depth]) -> dict[StageName, str]:
    """The stages that somebody should run, each with the reason and the remedy."""
    found: dict[StageName, str] = {}
    if not roll.running(StageName.SCRAPER):
        found[StageName.SCRAPER] = f"no node starts cycles: {_remedy(StageName.SCRAPER)}"
    for queue, stage in _FEEDS.items():
        depth = depths[queue]
        if (depth.oldest_age or 0.0) > _OLD and not roll.running(stage):
            found[stage] = (
                f"no node runs the {stage} stage, {depth.ready:,} {queue} wait on the broker: {_remedy(stage)}"
            )
    return found


def _remedy(stage: StageName) -> str:
    return f"sp500tui worker --stages {stage} adds one"
