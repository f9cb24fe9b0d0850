"""The actions of keys on the pipeline; each returns a message that states what changed."""

from __future__ import annotations

from sp500tui.config.settings import MAX_WORKERS, MIN_WORKERS
from sp500tui.config.whole_numbers import whole_number
from sp500tui.pipeline.api import PipelineControl, clamp_workers, step_interval
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Phase, Snapshot
from sp500tui.tui.render.cluster_labels import leaving, nodes_with, short_name, stage_of
from sp500tui.tui.render.formats import plural, span
from sp500tui.tui.render.labels import STAGE_TITLES

STAGES = tuple(StageName)
_LIVE = tuple(stage for stage in STAGES if stage is not StageName.HISTORY)
REFRESH_RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""The refresh rates, per second, that the keys step through."""
SCRAPER_STAYS = "The scraper always has one worker"


def neighbour(snapshot: Snapshot, stage: StageName, steps: int) -> StageName:
    """The stage `steps` further along the data flow, wrapping around; the history stage only once started."""
    stages = [each for each in STAGES if each in (stage, *_LIVE) or snapshot.has_history]
    return stages[(stages.index(stage) + steps) % len(stages)]


def step_refresh(present: float, direction: int) -> float:
    """The next lower (-1) or higher (+1) refresh rate, per second."""
    if direction < 0:
        return max((rate for rate in REFRESH_RATES if rate < present), default=REFRESH_RATES[0])
    return min((rate for rate in REFRESH_RATES if rate > present), default=REFRESH_RATES[-1])


def worker_limits(snapshot: Snapshot, stage: StageName) -> tuple[int, int] | None:
    """Minimum and maximum workers of a stage over all nodes that run it; None for the scraper, which has one."""
    if stage is StageName.SCRAPER:
        return None
    nodes = max(1, len(nodes_with(snapshot, stage))) if snapshot.broker else 1
    return nodes * MIN_WORKERS, nodes * MAX_WORKERS


def scale(pipeline: PipelineControl, snapshot: Snapshot, stage: StageName, change: int) -> str:
    """Add or remove workers of a stage; in a cluster they are distributed over its nodes."""
    present = snapshot.stage(stage).size
    limits = worker_limits(snapshot, stage)
    if limits is not None and not limits[0] <= present + change <= limits[1]:
        return f"{STAGE_TITLES[stage]}: {present} is the limit (allowed: {limits[0]} to {limits[1]})"
    return set_workers(pipeline, snapshot, stage, present + change)


def set_workers(pipeline: PipelineControl, snapshot: Snapshot, stage: StageName, number: int) -> str:
    """Set the number of workers of a stage; in a cluster they are distributed over its nodes."""
    name, limits = STAGE_TITLES[stage], worker_limits(snapshot, stage)
    if limits is None:
        return SCRAPER_STAYS
    nodes = len(nodes_with(snapshot, stage)) if snapshot.broker else 1
    if not nodes:
        return f"No node runs {name}: start one with sp500tui worker --stages {stage}=2"
    if not limits[0] <= number <= limits[1]:
        return f"{name}: {number} is out of range (allowed: {limits[0]} to {limits[1]})"
    scaled = pipeline.scale(stage, number)
    over = f" over {plural(nodes, 'node')}" if snapshot.broker else ""
    return f"{name} {scaled.old} → {scaled.new}{over}"


def sizes_in(query: str, snapshot: Snapshot) -> list[tuple[StageName, int]]:
    """The numbers of workers named by a query, such as `price 24`; a number alone applies to every stage."""
    *words, last = query.casefold().split() or [""]
    words = [word for word in words if word not in ("set", "to", "workers")]
    return [
        (stage, number)
        for stage in (each.name for each in snapshot.stages)
        if (limits := worker_limits(snapshot, stage)) is not None
        and (number := whole_number(last, *limits)) is not None
        and all(STAGE_TITLES[stage].startswith(word) for word in words)
    ]


def scale_node(pipeline: PipelineControl, node: NodeSnapshot, stage: StageName, change: int) -> str:
    """Add or remove workers of a stage on one node."""
    name, where = STAGE_TITLES[stage], short_name(node.name)
    if node.health is Health.DOWN or leaving(node):
        return f"{where} is {'lost' if node.health is Health.DOWN else 'leaving'} and cannot be scaled"
    if stage is StageName.SCRAPER:
        return SCRAPER_STAYS
    pool = stage_of(node, stage)
    if pool is None:
        return f"{where} runs no {name}"
    target = pool.size + change
    if clamp_workers(target) != target:
        return f"{name} on {where}: {pool.size} is the limit (allowed: {MIN_WORKERS} to {MAX_WORKERS})"
    scaled = pipeline.scale_node(node.name, stage, target)
    return f"{name} on {where} {scaled.old} → {scaled.new}"


def toggle_pause(pipeline: PipelineControl, snapshot: Snapshot, pause_key: str = "p") -> str:
    """Pause the intake, or resume it."""
    if snapshot.phase is Phase.PAUSED:
        pipeline.resume()
        return "pipeline resumed"
    if snapshot.phase is not Phase.RUNNING:
        return f"cannot pause: the pipeline is {snapshot.phase}"
    pipeline.pause()
    return f"pipeline paused: no new quotes are fetched; press {pause_key} to resume"


def toggle_stage_pause(pipeline: PipelineControl, snapshot: Snapshot, stage: StageName) -> str:
    """Pause one stage, or resume it."""
    if snapshot.stage(stage).paused:
        pipeline.resume(stage)
        return f"{STAGE_TITLES[stage]} resumed"
    pipeline.pause(stage)
    return f"{STAGE_TITLES[stage]} paused"


def run_cycle(pipeline: PipelineControl) -> str:
    """Start the next cycle now."""
    if pipeline.run_cycle_now():
        return "cycle started"
    return "A cycle is already running, or the pipeline is stopping"


def change_interval(pipeline: PipelineControl, snapshot: Snapshot, direction: int) -> str:
    """Shorten or lengthen the interval between cycles."""
    old = snapshot.cycle.interval
    new = pipeline.set_interval(step_interval(old, direction))
    return f"interval {span(old)} → {span(new)}" if new != old else f"interval: {span(old)} is the limit"
