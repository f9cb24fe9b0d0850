"""What the keys do to the pipeline: each returns the words that tell what changed."""

from __future__ import annotations

from sp500tui.pipeline.api import MAX_WORKERS, MIN_WORKERS, PipelineControl, clamp_workers, step_interval
from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Phase, Snapshot, StageName
from sp500tui.tui.render.cluster_labels import leaving, nodes_with, short_name, stage_of
from sp500tui.tui.render.formats import plural, span
from sp500tui.tui.render.labels import STAGE_TITLES

STAGES = tuple(StageName)
REFRESH_RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Looks at the pipeline a second that the keys step through."""
_SCRAPER_STAYS = "the scraper is always one worker"


def neighbour(stage: StageName, steps: int) -> StageName:
    """The stage `steps` further along the data's way, from the last on to the first again."""
    return STAGES[(STAGES.index(stage) + steps) % len(STAGES)]


def step_refresh(present: float, direction: int) -> float:
    """The next slower (-1) or faster (+1) rate, in looks a second."""
    if direction < 0:
        return max((rate for rate in REFRESH_RATES if rate < present), default=REFRESH_RATES[0])
    return min((rate for rate in REFRESH_RATES if rate > present), default=REFRESH_RATES[-1])


def scale(pipeline: PipelineControl, snapshot: Snapshot, stage: StageName, change: int) -> str:
    """Add or take away workers of a stage; in a cluster they are spread over its nodes."""
    name = STAGE_TITLES[stage]
    if stage is StageName.SCRAPER:
        return _SCRAPER_STAYS
    nodes = len(nodes_with(snapshot, stage)) if snapshot.broker else 1
    if not nodes:
        return f"no node runs {name}: start one with sp500tui worker --stages {stage}=2"
    present = snapshot.stage(stage).size
    least, most = nodes * MIN_WORKERS, nodes * MAX_WORKERS
    if not least <= present + change <= most:
        return f"{name} stay at {present}: {least} to {most} are possible"
    scaled = pipeline.scale(stage, present + change)
    over = f" over {plural(nodes, 'node')}" if snapshot.broker else ""
    return f"{name} {scaled.old} → {scaled.new}{over}"


def scale_node(pipeline: PipelineControl, node: NodeSnapshot, stage: StageName, change: int) -> str:
    """Add or take away workers of one node's stage."""
    name, where = STAGE_TITLES[stage], short_name(node.name)
    if node.health is Health.DOWN or leaving(node):
        return f"{where} is {'lost' if node.health is Health.DOWN else 'leaving'}: nothing is scaled there"
    if stage is StageName.SCRAPER:
        return _SCRAPER_STAYS
    pool = stage_of(node, stage)
    if pool is None:
        return f"{where} runs no {name}"
    wish = pool.size + change
    if clamp_workers(wish) != wish:
        return f"{name} of {where} stay at {pool.size}: {MIN_WORKERS} to {MAX_WORKERS} are possible"
    scaled = pipeline.scale_node(node.name, stage, wish)
    return f"{name} of {where} {scaled.old} → {scaled.new}"


def toggle_pause(pipeline: PipelineControl, snapshot: Snapshot) -> str:
    """Pause the intake, or resume it."""
    if snapshot.phase is Phase.PAUSED:
        pipeline.resume()
        return "pipeline resumed"
    if snapshot.phase is not Phase.RUNNING:
        return f"cannot pause: the pipeline is {snapshot.phase}"
    pipeline.pause()
    return "pipeline paused: nothing new is fetched, p resumes"


def toggle_stage_pause(pipeline: PipelineControl, snapshot: Snapshot, stage: StageName) -> str:
    """Pause one stage, or resume it."""
    if snapshot.stage(stage).paused:
        pipeline.resume(stage)
        return f"{STAGE_TITLES[stage]} resumed"
    pipeline.pause(stage)
    return f"{STAGE_TITLES[stage]} paused"


def run_cycle(pipeline: PipelineControl) -> str:
    """Start the next cycle without waiting for its time."""
    if pipeline.run_cycle_now():
        return "cycle started"
    return "no cycle started: one is under way or the pipeline is stopping"


def change_interval(pipeline: PipelineControl, snapshot: Snapshot, direction: int) -> str:
    """Step the time from cycle to cycle."""
    old = snapshot.cycle.interval
    new = pipeline.set_interval(step_interval(old, direction))
    return f"interval {span(old)} → {span(new)}"
