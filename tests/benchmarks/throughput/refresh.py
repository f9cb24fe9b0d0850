"""One refresh of all prices from the demo market, compared with yfinance and with one request per symbol."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sp500tui.simulator.process import DemoMarket
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import ROOT, child_environment, public_folder
from tests.support.market.demo import client_environment

_ALL = 503
_EQUAL = (
    "same demo market, machine, proxy and warm-up (imports, cookie, crumb, time zones cached); a process each"
)
_PEERS = {
    "yf.download(threads=True)": "download",
    "fast_info, 8 threads": "fast-info",
    "one request a symbol, 8 threads": "one-a-symbol",
}


@dataclass(frozen=True, slots=True)
class Runs:
    """Repeated runs of one client at one latency, scaled to all symbols."""

    seconds: Spread
    cpu: Spread


class Client:
    """One kind of client in a separate process."""

    def __init__(self, kind: str, symbols: int, market: DemoMarket, home: Path) -> None:
        self._symbols = symbols
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.children.refresh_client", kind, str(symbols)],
            cwd=ROOT,
            env=child_environment(client_environment(market, home / kind)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(home / kind / "stderr").open("w"),
            text=True,
        )
        self._complaints = home / kind / "stderr"
        self._run()

    def _run(self) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a client ended: {self._complaints.read_text()[-500:]}")
        reported: dict[str, float] = json.loads(line)
        return reported

    def measure(self, runs: int, symbols: int = 0) -> Runs:
        """Make a number of runs; those with fewer symbols are extrapolated to `symbols`.

        Raises:
            RuntimeError: A symbol was not answered, so the work is not comparable.
        """
        reported = [self._run() for _ in range(runs)]
        if symbols and any(run["answered"] != self._symbols for run in reported):
            raise RuntimeError(f"answered only {[run['answered'] for run in reported]} of {self._symbols}")
        factor = symbols / self._symbols if symbols else 1.0
        return Runs(
            Spread.of(run["seconds"] for run in reported).times(factor),
            Spread.of(run["cpu"] for run in reported).times(factor),
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)


@contextmanager
def clients(kinds: dict[str, tuple[str, int]], market: DemoMarket) -> Iterator[dict[str, Client]]:
    """Warmed-up clients by name, from their kinds and numbers of symbols."""
    with public_folder() as home:
        for kind, _ in kinds.values():
            (home / kind).mkdir()
        made = {name: Client(kind, count, market, home) for name, (kind, count) in kinds.items()}
        try:
            yield made
        finally:
            for client in made.values():
                client.close()


def run(scale: Scale) -> list[Figure]:
    """Wall and processor time of one refresh at each latency."""
    sample = min(_ALL, scale.sample)
    kinds = {name: (kind, sample) for name, kind in _PEERS.items()}
    kinds |= {"ours": ("ours", _ALL), "limit": ("round-trip", 1)}
    with DemoMarket.start(seed=500) as market, clients(kinds, market) as made:
        figures = []
        for latency in scale.latencies:
            market.set_faults(latency=latency)
            figures += _at(latency, made, scale)
        return figures


def _at(latency: float, made: dict[str, Client], scale: Scale) -> list[Figure]:
    ours = made["ours"].measure(scale.runs, _ALL)
    trip = made["limit"].measure(scale.runs)
    peers = {name: made[name].measure(2 if scale.runs > 1 else 1, _ALL) for name in _PEERS}
    where = f"at {latency * 1000:.0f} ms"
    note = f"peers: {scale.sample} symbols, scaled to {_ALL}"
    figures = [
        _wall(f"wall {where}", ours, trip, peers, name, goal if latency >= 0.1 else 0, note)
        for name, goal in (("yf.download(threads=True)", 100), ("fast_info, 8 threads", 40))
    ]
    trips = ours.seconds.over(trip.seconds)
    goal = latency >= 0.05
    figures.append(
        Figure(
            "refresh",
            f"round trips {where}",
            "round trips",
            trips,
            _EQUAL,
            limit=Spread(1, 1, 1),
            limit_name="one round trip",
            goal="≤ 2.5 round trips" if goal else "",
            met=trips.median <= 2.5 if goal else None,
            note=f"one round trip took {trip.seconds.median * 1000:.1f} ms"
            + ("" if goal else "; with no latency the processors decide, not the way"),
        )
    )
    cpu_peers = {name: runs.cpu for name, runs in peers.items()}
    ratio = cpu_peers["yf.download(threads=True)"].over(ours.cpu)
    figures.append(
        Figure(
            "refresh",
            f"processor time {where}",
            "s",
            ours.cpu,
            _EQUAL,
            cpu_peers,
            ratio=ratio,
            ratio_name="yf.download : ours",
            goal="≥ 100× less than yf.download",
            met=ratio.median >= 100,
            note=note,
        )
    )
    return figures


def _wall(
    metric: str, ours: Runs, trip: Runs, peers: dict[str, Runs], peer: str, goal: int, note: str
) -> Figure:
    ratio = peers[peer].seconds.over(ours.seconds)
    return Figure(
        "refresh",
        f"{metric} beside {peer.partition('(')[0].partition(',')[0]}",
        "s",
        ours.seconds,
        _EQUAL,
        {name: runs.seconds for name, runs in peers.items()},
        limit=trip.seconds,
        limit_name="one round trip",
        ratio=ratio,
        ratio_name=f"{peer} : ours",
        goal=f"≥ {goal}× faster" if goal else "",
        met=ratio.median >= goal if goal else None,
        note=note,
    )
