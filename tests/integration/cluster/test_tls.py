"""Programs and nodes whose broker requires TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sp500tui.errors import ExitCode
from tests.faults.rig.program import Launcher, Program
from tests.support.cluster.nodes import ClusterUnderTest, continues_after_outage
from tests.support.cluster.tls_proxy import Authority, MakeTlsProxy
from tests.support.cluster.valkey import ValkeyServer, new_server
from tests.support.parameters import rest_thorough


@pytest.fixture
def guarded() -> Iterator[ValkeyServer]:
    """A server with a password."""
    server = new_server(password="s3cret")
    yield server
    server.close()


def worker(launch: Launcher, *options: str, **settings: Any) -> Program:
    return launch(
        *options, command=("-m", "sp500tui", "worker"), symbols="AAPL,MSFT,BRK.B", database=None, **settings
    )


@pytest.mark.thorough
@pytest.mark.parametrize("where", ["in the environment", "in a file"])
def test_one_cycle_with_a_second_program(
    launch: Launcher,
    guarded: ValkeyServer,
    make_tls_proxy: MakeTlsProxy,
    authority: Authority,
    database_url: str,
    tmp_path: Path,
    where: str,
) -> None:
    # given a program that stores, and one for a cycle that fetches; both have the password
    proxy = make_tls_proxy(broker=guarded)
    given: dict[str, Any] = {"broker": proxy.url(authority.file, password="s3cret")}
    if where == "in a file":
        file = tmp_path / "password"
        file.write_text("s3cret\n")
        given = {"broker": proxy.url(authority.file), "broker_password_file": file}
    storer = worker(launch, f"--database={database_url}", stages="converter=1,writer=1", **given)
    storer.hears("started")

    # when the cycle is over
    once = worker(launch, "--once", stages="scraper,price=1", **given)
    assert once.ends() == 0, once.said()

    # then the other one has stored it, all connections used TLS, and the password appears nowhere
    quotes = once.report()["quotes"]
    assert (quotes["fetched"], quotes["stored"] + quotes["duplicate"]) == (3, 3)
    assert "; this node uses no database" in once.said()
    assert storer.stops() == ExitCode.SIGTERM
    assert proxy.connections >= 2
    assert "s3cret" not in once.said() + storer.said()


@pytest.mark.parametrize("fault", rest_thorough(["an unknown authority", "the wrong scheme"]))
def test_a_service_does_not_retry_permanent_errors(
    launch: Launcher, make_tls_proxy: MakeTlsProxy, fault: str
) -> None:
    proxy = make_tls_proxy()
    url, words = {
        "an unknown authority": (
            proxy.url(password="s3cret"),
            "presents a certificate signed by an unknown authority",
        ),
        "the wrong scheme": (f"redis://:s3cret@127.0.0.1:{proxy.port}/0", "requires TLS: use rediss://"),
    }[fault]

    program = worker(launch, stages="price=1", broker=url)

    assert program.ends() == ExitCode.DATABASE
    assert program.report()["outcome"] == "failed"
    reported = [line for line in program.said().splitlines() if line.startswith("sp500tui: ")]
    assert len(reported) == 1
    assert reported[0].startswith(f"sp500tui: the broker at {url.replace('s3cret', '***')} {words}")
    assert "Traceback" not in program.said()
    assert "s3cret" not in program.said()


@pytest.mark.thorough
def test_nodes_survive_cut_connections(
    join: ClusterUnderTest, make_tls_proxy: MakeTlsProxy, authority: Authority
) -> None:
    # given two nodes at work
    proxy = make_tls_proxy()
    url = proxy.url(authority.file)
    one = join("scraper,price=2,writer=1", broker=url)
    two = join("price=1,converter=1,writer=1", broker=url)
    two.waits_for(lambda s: s.ledger.stored >= 3 and len(s.nodes) == 2, "stored rows")

    # when the proxy is stopped and started again
    continues_after_outage((one, two), proxy.stop, proxy.start)
    one.stops()
    two.stops()
