"""A canned cluster: two working machines, one of them this one, and a third that is a viewer or lost."""

from __future__ import annotations

from dataclasses import replace

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, NodeSnapshot, Snapshot, StageSnapshot
from tests.support.tui.fake_pipeline import running

ALPHA, BETA, GAMMA = "alpha:4100:9f3c12ab", "beta:4711:07d1e4c2", "gamma:4712:5b88a03f"
BROKER = "redis://:***@valkey.example:6379/0"


def pool(name: StageName, alive: int, size: int, rate: float) -> StageSnapshot:
    """A number of workers of the running pipeline's pool of a stage."""
    return replace(running().stage(name), alive=alive, size=size, busy=min(alive, 2), rate=rate, restarts=0)


def node(name: str, **more: object) -> NodeSnapshot:
    """A node that runs every stage except the scraper."""
    base = NodeSnapshot(
        name=name,
        host=name.partition(":")[0],
        version="0.1.0",
        health=Health.OK,
        heard=0.4,
        uptime=631.0,
        stages=(
            pool(StageName.PRICE, 4, 4, 20.6),
            pool(StageName.CONVERTER, 1, 1, 20.6),
            pool(StageName.WRITER, 1, 1, 19.2),
        ),
        fetch_group="shared",
    )
    return replace(base, **more)  # type: ignore[arg-type]


def three_nodes() -> Snapshot:
    """A run without problems on three machines; this one starts the cycles."""
    alpha = node(ALPHA, here=True, scheduler=True)
    alpha = replace(alpha, stages=(pool(StageName.SCRAPER, 1, 1, 0.1), *alpha.stages))
    beta = node(BETA, heard=0.9, uptime=7_400.0)
    beta = replace(beta, stages=(pool(StageName.SCRAPER, 1, 1, 0.0), *beta.stages))
    gamma = node(GAMMA, fetch_group="harbour", stages=(pool(StageName.PRICE, 3, 4, 12.0),))
    return _with(alpha, beta, gamma)


def one_lost() -> Snapshot:
    """The same cluster twelve seconds after gamma was lost."""
    alpha, beta, gamma = three_nodes().nodes
    lost = replace(
        gamma,
        health=Health.DOWN,
        heard=12.0,
        message="held 150 tickers and 50 quotes; reassigned to alpha:4100 (100 tickers, 50 quotes), "
        "beta:4711 (50 tickers)",
    )
    return _with(alpha, beta, lost)


def watching() -> Snapshot:
    """The three machines as seen by a fourth program, a viewer."""
    alpha, beta, gamma = three_nodes().nodes
    here = node("delta:99:11aa22bb", here=True, stages=(), fetch_group="")
    return _with(here, replace(alpha, here=False), beta, gamma)


def _with(*nodes: NodeSnapshot) -> Snapshot:
    """The running pipeline with these nodes; workers are distributed over the alive nodes that run their stage."""
    calm = running()
    homes = [each for each in nodes if each.health is Health.OK]
    workers = []
    for number, worker in enumerate(calm.workers):
        able = [home for home in homes if worker.stage in {stage.name for stage in home.stages}]
        workers.append(replace(worker, node=able[number % len(able)].name))
    return replace(calm, nodes=nodes, workers=tuple(workers), broker=BROKER)
