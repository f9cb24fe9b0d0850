"""Checks of the broker at the start: what is required, what is warned about, and the permissions of its user."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator

import pytest

from sp500tui.cluster.broker.checks import check_server
from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerAwayError, BrokerError
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.pipeline.core.queue import CancelledError
from tests.support.cluster.valkey import ValkeyServer, new_server
from tests.support.ports import free_port

MakeBroker = Callable[..., Broker]


def test_a_broker_that_is_down_at_the_start_is_retried_until_the_limit() -> None:
    broker = Broker(f"redis://:s3cret@127.0.0.1:{free_port()}/0", "test")

    with pytest.raises(BrokerAwayError, match="cannot be reached") as refused:
        broker.open(retry_for=0.2)
    with pytest.raises(CancelledError):
        broker.open(retry_for=None, cancelled=lambda: True)

    assert "s3cret" not in str(refused.value)
    assert refused.value.exit_code is ExitCode.DATABASE


@pytest.fixture(scope="module")
def guarded() -> Iterator[ValkeyServer]:
    """A server with a password."""
    server = new_server(password="s3cret")
    yield server
    server.close()


@pytest.mark.parametrize(
    ("given", "words"),
    [(None, "requires a password"), ("wr0ng", "rejects the password")],
    ids=["none", "wrong"],
)
def test_a_wrong_password_is_reported_but_not_shown(
    guarded: ValkeyServer, given: str | None, words: str
) -> None:
    url = f"redis://127.0.0.1:{guarded.port}/0"

    with pytest.raises(BrokerError, match=words) as refused:
        Broker(url, "test", password=given).open(retry_for=60)

    assert not isinstance(refused.value, BrokerAwayError)
    assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize("where", ["in the URL", "beside it", "a wrong one beside it"])
def test_the_password_comes_from_the_url_or_from_a_setting(guarded: ValkeyServer, where: str) -> None:
    bare = f"redis://127.0.0.1:{guarded.port}/0"
    beside = {"beside it": "s3cret", "a wrong one beside it": "wr0ng"}.get(where)
    broker = Broker(bare if where == "beside it" else guarded.url, "test", password=beside)

    broker.open()

    assert "s3cret" not in broker.address
    broker.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@b/0?foo=bar",
        "redis://:s3cret@b:99999/0",
        "redis://:s3cret@b/0?db=x",
        "rediss://:s3cret@b/0?ssl_cert_reqs=foo",
    ],
)
def test_an_invalid_url_is_named_without_its_password(url: str) -> None:
    with pytest.raises(BrokerError, match=r"invalid broker URL .*; example: redis://host:6379/0") as refused:
        Broker(url, "test").open()
    assert "s3cret" not in str(refused.value)
    assert refused.value.exit_code is ExitCode.USAGE


def test_a_read_only_replica_is_refused(own_valkey: ValkeyServer, valkey: ValkeyServer) -> None:
    own_valkey.client().replicaof("127.0.0.1", valkey.port)
    with pytest.raises(BrokerError, match=f"read-only replica of 127.0.0.1:{valkey.port}: give the address"):
        Broker(own_valkey.url, "test").open(retry_for=60)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--appendfsync", "everysec"), "has appendfsync everysec"),
        (("--appendonly", "no"), "keeps its data in memory only"),
        (("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "may evict our keys"),
    ],
    ids=["everysec", "memory only", "evicts"],
)
def test_settings_that_may_lose_data_are_warned_of_once(
    options: tuple[str, ...], words: str, make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    server = new_server(*options)
    try:
        make_broker(server).run("depth", ("any",))
    finally:
        server.close()

    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert words in warnings[0]


def test_a_safe_broker_is_not_warned_of(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.open()
    assert not caplog.records


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"needs the package redis; install sp500tui\[cluster\]"):
        Broker("redis://127.0.0.1/0", "test").open()


class OldServer:
    def __init__(self, version: str) -> None:
        self.version = version

    def ping(self) -> bool:
        return True

    def info(self) -> dict[str, object]:
        return {"redis_version": self.version, "role": "master"}


@pytest.mark.parametrize("version", ["6.2.14", "5.0", ""])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(BrokerError, match=r"Redis 7\.0 or Valkey is required"):
        check_server(OldServer(version), "the broker at redis://b")
