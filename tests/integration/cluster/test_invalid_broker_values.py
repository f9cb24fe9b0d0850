"""Another program writes into a cluster's keys: the node repairs or ignores it, logs it, and continues."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from sp500tui.pipeline.core.snapshot import Health, Phase
from tests.support.cluster.nodes import ClusterUnderTest

HASHES = ("beats", "details", "lost", "cycle", "desired", "missing", "fx:DKK", "list", "walk", "books")
STRINGS = ("scheduler", "scheduler:token")
QUEUES = ("tickers", "quotes", "rows")
KEYS = (
    "heard",
    *HASHES,
    *STRINGS,
    *(f"queue:{name}" for name in QUEUES),
    *(f"queue:{name}:{part}" for name in QUEUES for part in ("returned", "instead", "dropped", "totals")),
)


def poisoned_values(client: Any, key: str) -> None:
    """Set invalid values in a key without changing its type."""
    kind = client.type(key).decode()
    if kind == "hash":
        for field in [*client.hkeys(key), b"\xff", b"nan|price", b"interval", b"run_now", b"paused|price"]:
            client.hset(key, field, b"\xffnan")
    elif kind == "zset":
        client.zadd(key, {b"\xff": float("inf"), b"unknown": -1.0})
    elif kind == "string":
        client.set(key, b"\xffmany")
    elif kind == "stream":
        client.xadd(key, {b"\xff": b"", b"d": b"[1"})


def wrong_type(client: Any, key: str) -> None:
    client.pipeline().delete(key).sadd(key, "other data").execute()


def removed(client: Any, key: str) -> None:
    client.delete(key)


@pytest.mark.thorough
@pytest.mark.parametrize("harm", [poisoned_values, wrong_type, removed])
def test_a_node_survives_any_value_in_its_keys(
    join: ClusterUnderTest, harm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # given a node with every stage
    node = join(no_ui=False, interval=0.3)
    node.waits_for(lambda seen: seen.ledger.stored >= 3, "stored rows")
    client = join.broker.client()
    prefix = f"sp500tui:{{{join.cluster_name}}}:"

    # when each key in turn gets invalid values
    for key in KEYS:
        cycle = node.snapshot().cycle.number
        with caplog.at_level(logging.WARNING):
            harm(client, prefix + key)
            # then cycles continue
            node.waits_for(
                lambda seen, cycle=cycle: seen.phase is Phase.RUNNING and seen.cycle.number > cycle + 1,  # type: ignore[misc]
                f"a cycle after {harm.__name__} of {key}",
            )
    assert node.snapshot().broker_health is Health.OK
    assert not [record for record in caplog.records if record.exc_info]
    node.stops()
    assert node.snapshot().failure == ""
