"""What a server must be to serve as the broker, and what it had better be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.broker.refusals import redis_package
from sp500tui.cluster.broker.values import whole
from sp500tui.logs.redaction import plain

_OLDEST = (7, 0)
"""Version of Redis from which scripts may use the broker's clock and say what they do in a full memory."""


def check_server(client: Any, name: str) -> list[str]:
    """Refuse a server that cannot be the broker; returns what may cost data later, one line each.

    Raises:
        BrokerError: it is too old or a replica. redis-py's exceptions are let through.
    """
    client.ping()
    info: Mapping[str, Any] = client.info()
    version = str(info.get("redis_version", ""))
    if _numbers(version) < _OLDEST:
        raise BrokerError(
            f"{name} is Redis {plain(version) or 'of unknown age'}: it must be Redis 7.0 or Valkey"
        )
    if info.get("role") == "slave":
        primary = plain(f"{info.get('master_host')}:{info.get('master_port')}")
        raise BrokerError(f"{name} is a read-only replica of {primary}: give the address of the primary")
    return [f"{name} {flaw}" for flaw in _flaws(info, _fsync(client))]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _fsync(client: Any) -> str:
    """When the server brings its log to the disk; empty where it does not say (managed servers often do not)."""
    redis = redis_package()
    try:
        return str(client.config_get("appendfsync").get("appendfsync", ""))
    except redis.ResponseError:
        return ""


def _flaws(info: Mapping[str, Any], fsync: str) -> list[str]:
    flaws = []
    if not whole(info.get("aof_enabled")):
        flaws.append(
            "keeps its data in memory only: a restart loses what is queued; set appendonly yes, appendfsync always"
        )
    elif fsync not in ("", "always"):
        flaws.append(
            f"has appendfsync {plain(fsync)}: a loss of power can lose what is queued; set appendfsync always"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if whole(info.get("maxmemory")) and policy != "noeviction":
        flaws.append(
            f"may throw our keys away when its memory is full ({plain(policy)}): set maxmemory-policy noeviction"
        )
    return flaws
