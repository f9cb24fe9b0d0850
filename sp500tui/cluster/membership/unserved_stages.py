"""Stages with queued items that no node runs."""

from __future__ import annotations

from collections.abc import Mapping

from sp500tui.cluster.membership.view import ClusterView
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.queue import Depth

_CONSUMERS = {
    QueueName.TICKERS: StageName.PRICE,
    QueueName.QUOTES: StageName.CONVERTER,
    QueueName.ROWS: StageName.WRITER,
    QueueName.HISTORY: StageName.HISTORY,
}
_GRACE = 5.0
"""Seconds an item may wait, because a node may be starting."""


def unserved_stages(view: ClusterView, depths: Mapping[QueueName, Depth]) -> dict[StageName, str]:
    """Stages that no node runs although work is waiting, each with the reason and the remedy."""
    found: dict[StageName, str] = {}
    if not view.running(StageName.SCRAPER):
        found[StageName.SCRAPER] = f"no node starts cycles: {_remedy(StageName.SCRAPER)}"
    for queue, stage in _CONSUMERS.items():
        depth = depths[queue]
        if (depth.oldest_age or 0.0) > _GRACE and not view.running(stage):
            found[stage] = (
                f"no node runs the {stage} stage, {depth.ready:,} {queue.items} are waiting on the broker: "
                f"{_remedy(stage)}"
            )
    return found


def _remedy(stage: StageName) -> str:
    return f"start one with sp500tui worker --stages {stage}"
