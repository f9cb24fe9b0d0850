"""Run the campaigns and print a table: `python -m tests.faults [--writers N] [--programs N] [--servers N]`.

`python -m tests.faults cluster` runs those on a cluster instead, `python -m tests.faults soak` mixes all faults.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sp500tui.simulator.process import DemoMarket
from sp500tui.storage.embedded.server import EmbeddedServer
from tests.faults.campaigns import cluster, soak
from tests.faults.campaigns.kills import Campaign, kill_programs, kill_servers, kill_writers
from tests.faults.checker import Handed
from tests.faults.rig.program import Launcher
from tests.support.postgres.server import end_server, public_folder


def main() -> int:
    """The exit code is 0 only if every guarantee held."""
    if sys.argv[1:2] == ["cluster"]:
        return cluster.main(sys.argv[2:])
    if sys.argv[1:2] == ["soak"]:
        return soak.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    for name, usual in (("writers", 200), ("programs", 20), ("servers", 10)):
        parser.add_argument(
            f"--{name}", type=int, default=usual, metavar="N", help=f"kills (default: {usual})"
        )
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    # So that all child processes are ended on exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 30)
    sys.stdout.write(f"seed {seed}\n{Campaign.heading()}\n")
    rng = random.Random(seed)
    campaigns: list[tuple[int, Callable[[Launcher, Handed, str, int], Campaign]]] = [
        (
            arguments.writers,
            lambda launch, handed, url, times: kill_writers(launch, handed, url, rng, times),
        ),
        (
            arguments.programs,
            lambda launch, handed, url, times: kill_programs(launch, handed, url, rng, times),
        ),
        (arguments.servers, lambda launch, handed, _url, times: kill_servers(launch, handed, rng, times)),
    ]
    held = True
    for times, campaign in campaigns:
        if times:
            result = run(campaign, times)
            held = held and result.clean
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
    return 0 if held else 1


def run(campaign: Callable[[Launcher, Handed, str, int], Campaign], times: int) -> Campaign:
    """Run one campaign with a separate market, server and data folder."""
    folder = public_folder()
    try:
        return in_folder(folder, campaign, times)
    finally:
        for pgdata in folder.rglob("pgdata"):
            end_server(pgdata)
        shutil.rmtree(folder)


def in_folder(
    folder: Path, campaign: Callable[[Launcher, Handed, str, int], Campaign], times: int
) -> Campaign:
    """Run the campaign in a folder."""
    ledger = folder / "ledger.jsonl"
    server = EmbeddedServer.start(folder / "server")
    with DemoMarket.start(seed=7, ledger=ledger, start_at="11:00") as market:
        launch = Launcher(market, folder)
        try:
            return campaign(launch, Handed.from_now(ledger), server.url, times)
        finally:
            launch.close()
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
