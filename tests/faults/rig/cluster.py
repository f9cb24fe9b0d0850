"""A cluster of real programs for fault tests: broker, database, market, and nodes as if on separate machines."""

from __future__ import annotations

import shutil
import signal
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psycopg

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.node.broker_state import BrokerState, read_state
from sp500tui.simulator.process import DemoMarket
from tests.faults.checker import Checker, Handed, Verdict, rows_in_table
from tests.faults.rig.namespaces import Network, NotAllowedError, Relay, inside
from tests.faults.rig.program import Launcher, Program, wait_for
from tests.faults.rig.steps import FIFTY
from tests.support.cluster.valkey import ValkeyServer, new_server
from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres, end_server, public_folder

SCHEDULER = "scraper"
FETCHER = "price=2"
STORER = "converter=1,writer=1"


@dataclass
class Node:
    """One program of the cluster, and its network namespace."""

    program: Program
    stages: str
    namespace: str | None

    @property
    def pid(self) -> int:
        return self.program.process.pid


@dataclass
class Addresses:
    """The addresses of the broker, the database and the market, as a node reaches them."""

    broker: str
    database: str
    proxy: str


@dataclass
class ClusterRig:
    """The cluster of a campaign; created by `open` or `over`, and closed at the end of `with`."""

    valkey: ValkeyServer
    postgres: TcpPostgres
    launch: Launcher
    handed: Handed
    network: Network | None
    seen_by_nodes: Addresses
    broker: Broker
    stack: ExitStack
    nodes: list[Node] = field(default_factory=list)
    _idle_namespaces: list[str] = field(default_factory=list)

    @classmethod
    def open(cls) -> Self:
        """Start broker, database and market, for a campaign."""
        with ExitStack() as stack:
            folder = public_folder()
            stack.callback(shutil.rmtree, folder)
            valkey = new_server()
            stack.callback(valkey.close)
            postgres = TcpPostgres(folder, free_port())
            postgres.create()
            stack.callback(end_server, postgres.pgdata)
            postgres.start()
            ledger = folder / "ledger.jsonl"
            market = stack.enter_context(DemoMarket.start(seed=7, ledger=ledger, start_at="11:00"))
            launch = Launcher(market, folder)
            stack.callback(launch.close)
            rig = cls.over(valkey, postgres, launch, Handed.from_now(ledger))
            stack.push(rig.stack.pop_all())
            rig.stack = stack.pop_all()
            return rig

    @classmethod
    def over(cls, valkey: ValkeyServer, postgres: TcpPostgres, launch: Launcher, handed: Handed) -> Self:
        """A cluster on servers that the caller closes; nodes are on separate machines where that is permitted."""
        with ExitStack() as stack:
            network = _lay_network(stack)
            broker = Broker(valkey.url, f"faults-{uuid.uuid4().hex[:12]}")
            broker.open()
            stack.callback(broker.close)
            addresses = _addresses(stack, network, valkey, postgres, launch.market)
            return cls(valkey, postgres, launch, handed, network, addresses, broker, stack.pop_all())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def start(self, stages: str, interval: float = 1.0) -> Node:
        """Start a node on a separate machine."""
        namespace = None
        if self.network is not None:
            namespace = self._idle_namespaces.pop() if self._idle_namespaces else self.network.add()
        at = self.seen_by_nodes
        program = self.launch(
            f"--proxy={at.proxy}",
            command=inside(namespace, "-m", "sp500tui", "worker"),
            database=at.database,
            symbols=FIFTY,
            interval=interval,
            broker=at.broker,
            cluster_name=self.broker.cluster_name,
            stages=stages,
        )
        node = Node(program, stages, namespace)
        self.nodes.append(node)
        return node

    def kill(self, node: Node) -> None:
        """`kill -9` of a node and of its child processes."""
        family = node.program.family()
        for process in family:
            process.kill()
        node.program.process.wait(10)
        self.nodes.remove(node)
        if node.namespace is not None:
            self._idle_namespaces.append(node.namespace)

    def replace(self, node: Node) -> Node:
        """Kill a node and start another one with the same stages."""
        self.kill(node)
        return self.start(node.stages)

    # --- observations from outside ------------------------------------------------------------------------------

    def state(self) -> BrokerState:
        """Queues and ledger of the cluster."""
        return read_state(self.broker, retry_for=20)

    def stored(self) -> int:
        """Number of rows in the table."""
        return len(rows_in_table(self.postgres.url)) if self._has_table() else 0

    def _has_table(self) -> bool:
        with psycopg.connect(self.postgres.url) as connection:
            found = connection.execute("SELECT to_regclass('public.prices')").fetchone()
        return found is not None and found[0] is not None

    def continues(self, timeout: float = 60.0) -> None:
        """Wait until more rows are stored than now."""
        before = self.stored()
        wait_for(lambda: self.stored() > before, "more rows in the table", timeout)

    def scheduler(self) -> Node | None:
        """The node that currently starts the cycles; None if there is none."""
        held = self.valkey.client().get(self.broker.key("scheduler"))
        pid = int(held.decode().split(":")[1]) if held else 0
        return next((node for node in self.nodes if node.pid == pid), None)

    def ends(self) -> Verdict:
        """Stop the nodes in the order of the data flow, the last once everything is stored; returns the verdict."""
        for node in self.nodes:
            # A node that has just started has no signal handlers yet, so the signal would kill it.
            node.program.hears("started; process")
        self._stop("scraper")
        self._stop("price")
        wait_for(self._is_settled, "everything that was fetched to be stored", 60.0)
        self._stop("")
        ledger = self.state().ledger
        assert ledger.is_balanced, str(ledger)
        return Checker(self.handed, self.launch.folder / "data" / "live").verdict(self.postgres.url)

    def _stop(self, stage: str) -> None:
        leaving = [node for node in self.nodes if stage in node.stages]
        for node in leaving:
            node.program.send(signal.SIGTERM)
        for node in leaving:
            assert node.program.ends() == 128 + signal.SIGTERM, node.program.said()[-2000:]
            self.nodes.remove(node)

    def _is_settled(self) -> bool:
        ledger = self.state().ledger
        return ledger.queued == 0 == ledger.in_flight


def _lay_network(stack: ExitStack) -> Network | None:
    try:
        network = Network()
    except NotAllowedError:
        return None
    stack.callback(network.close)
    return network


def _addresses(
    stack: ExitStack, network: Network | None, valkey: ValkeyServer, postgres: TcpPostgres, market: DemoMarket
) -> Addresses:
    if network is None:
        return Addresses(valkey.url, postgres.url, market.proxy_url)
    ports = (valkey.port, postgres.port, urlsplit(market.proxy_url).port or 0)
    relays = [Relay(network.address, port) for port in ports]
    for relay in relays:
        stack.callback(relay.close)
    broker, database, proxy = (
        url.replace(f"127.0.0.1:{port}", f"{network.address}:{relay.port}")
        for url, port, relay in zip((valkey.url, postgres.url, market.proxy_url), ports, relays, strict=True)
    )
    return Addresses(broker, database, proxy)
