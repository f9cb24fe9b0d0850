"""The campaigns on a cluster: repeated kills of workers, broker and scheduler, and disconnected nodes.

`python -m tests.faults cluster [--workers N] [--fetchers N] [--brokers N] [--schedulers N] [--partitions N]`
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence

from tests.faults.campaigns.kills import Campaign
from tests.faults.checker import Handed, Key
from tests.faults.rig.cluster import FETCHER, SCHEDULER, STORER, ClusterRig, Node
from tests.faults.rig.program import pause, wait_for

IN_HAND = 1.0
"""Seconds before a `kill -9` of a fetching worker in which quotes may be only in its memory."""
ON_THE_WAY = 0.3
"""Seconds before a disconnection in which a response may still be in transit."""
CUT = 9.0
"""Seconds of a disconnection: longer than the time after which the others evict a node."""


def kill_workers(rig: ClusterRig, rng: random.Random, times: int) -> Campaign:
    """`kill -9` of workers that convert and store, and of their writer processes; others replace them."""
    started = time.monotonic()
    rig.start(SCHEDULER)
    rig.start(FETCHER)
    storers = [rig.start(STORER) for _ in range(3)]
    rig.continues()
    for _ in range(times):
        pause(rng.uniform(0, 1.5))
        at = rng.randrange(len(storers))
        storers[at] = rig.replace(storers[at])
    return _verdict(rig, "kill -9 of a storing worker", times, started)


def kill_fetchers(rig: ClusterRig, rng: random.Random, times: int) -> Campaign:
    """`kill -9` of workers that fetch; only the responses in their memory may be lost."""
    started = time.monotonic()
    rig.start(SCHEDULER)
    rig.start(STORER)
    fetchers = [rig.start(FETCHER) for _ in range(2)]
    rig.continues()
    excused: set[Key] = set()
    for _ in range(times):
        pause(rng.uniform(0, 1.0))
        safe = rig.handed.now()
        pause(IN_HAND)
        at = rng.randrange(len(fetchers))
        rig.kill(fetchers[at])
        last = Handed(rig.handed.path, safe).quotes(rig.handed.now())
        excused |= {(quote.symbol, quote.quote_time) for quote in last}
        fetchers[at] = rig.start(FETCHER)
        rig.continues()
    return _verdict(rig, "kill -9 of a fetching worker", times, started, excused)


def kill_brokers(rig: ClusterRig, rng: random.Random, times: int) -> Campaign:
    """`kill -9` of the broker, which is restarted after a random time."""
    started = time.monotonic()
    _whole_cluster(rig)
    for _ in range(times):
        pause(rng.uniform(0, 2))
        rig.valkey.kill()
        pause(rng.uniform(0, 4))
        rig.valkey.start()
        rig.continues()
    return _verdict(rig, "kill -9 of the broker", times, started)


def kill_schedulers(rig: ClusterRig, rng: random.Random, times: int) -> Campaign:
    """`kill -9` of the node that starts the cycles; another one takes over, and a new one becomes the standby."""
    started = time.monotonic()
    _whole_cluster(rig)
    rig.start(SCHEDULER)
    for _ in range(times):
        pause(rng.uniform(0, 2))
        wait_for(rig.scheduler, "a scheduler")
        killed = rig.scheduler()
        assert killed is not None
        rig.kill(killed)
        rig.start(SCHEDULER)
        wait_for(rig.scheduler, "another scheduler")
        rig.continues()
    return _verdict(rig, "kill -9 of the scheduler", times, started)


def pull_cables(rig: ClusterRig, rng: random.Random, times: int) -> Campaign:
    """Disconnect a node until the others have evicted it; it returns with its old leases.

    Where the machine has no network namespaces, the node stands still instead. An answer that the market sends to
    a node that cannot be reached has no scheduler: the request fails, and is made again.
    """
    started = time.monotonic()
    nodes = _whole_cluster(rig)
    rig.start(STORER)
    excused: set[Key] = set()
    for _ in range(times):
        pause(rng.uniform(0, 2))
        node = rng.choice(nodes)
        safe, losses = rig.handed.now(), _losses(rig)
        pause(ON_THE_WAY)
        _cut_off(rig, node)
        if node.stages == FETCHER:
            last = Handed(rig.handed.path, safe).quotes(rig.handed.now())
            excused |= {(quote.symbol, quote.quote_time) for quote in last}
        wait_for(lambda losses=losses: _losses(rig) > losses, "its loss to be noticed")  # type: ignore[misc]
        rig.continues()
    fault = "cable pulled for 9 s" if rig.network is not None else "SIGSTOP for 9 s"
    return _verdict(rig, fault, times, started, excused)


def _cut_off(rig: ClusterRig, node: Node) -> None:
    if rig.network is not None and node.namespace is not None:
        rig.network.cut(node.namespace)
        pause(CUT)
        rig.network.restore(node.namespace)
    else:
        node.program.send(signal.SIGSTOP)
        pause(CUT)
        node.program.send(signal.SIGCONT)


def _losses(rig: ClusterRig) -> int:
    """Number of times that nodes have reported the loss of another."""
    return sum(node.program.said().count("was lost") for node in rig.nodes)


def _whole_cluster(rig: ClusterRig) -> list[Node]:
    """Start nodes for every stage and wait until they work; returns those that a fault may affect."""
    rig.start(SCHEDULER)
    nodes = [rig.start(FETCHER), rig.start(STORER)]
    rig.continues()
    return nodes


def _verdict(
    rig: ClusterRig, fault: str, times: int, started: float, excused: set[Key] | None = None
) -> Campaign:
    rig.continues()
    return Campaign(fault, times, rig.ends(), frozenset(excused or ()), time.monotonic() - started)


CAMPAIGNS: tuple[tuple[str, int, Callable[[ClusterRig, random.Random, int], Campaign]], ...] = (
    ("workers", 20, kill_workers),
    ("fetchers", 10, kill_fetchers),
    ("brokers", 5, kill_brokers),
    ("schedulers", 5, kill_schedulers),
    ("partitions", 1, pull_cables),
)
"""Option, default number of faults, and the campaign."""


def main(arguments: Sequence[str]) -> int:
    """Print the table; the exit code is 0 only if every guarantee held."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults cluster", description=__doc__)
    for name, usual, _ in CAMPAIGNS:
        parser.add_argument(
            f"--{name}", type=int, default=usual, metavar="N", help=f"faults (default: {usual})"
        )
    parser.add_argument("--seed", type=int, default=None)
    chosen = parser.parse_args(arguments)
    # So that all child processes are ended on exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1 << 30)
    sys.stdout.write(f"seed {seed}\n{Campaign.heading()}\n")
    sys.stdout.flush()
    rng = random.Random(seed)
    held = True
    for name, _, campaign in CAMPAIGNS:
        times = getattr(chosen, name)
        if times:
            with ClusterRig.open() as rig:
                result = campaign(rig, rng, times)
            held = held and result.clean
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
    return 0 if held else 1
