"""Checks of a server before it is used as the broker: version, role and durability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sp500tui.cluster.broker.errors import BrokerError, redis_package
from sp500tui.cluster.broker.values import to_int
from sp500tui.logs.redaction import plain

_MIN_VERSION = (7, 0)
"""First version of Redis with script flags and with effect replication, which lets scripts read the clock."""


def check_server(client: Any, name: str) -> list[str]:
    """Check that a server can be the broker; returns one warning for each setting that risks data.

    Raises:
        BrokerError: it is too old or a replica. Exceptions of redis-py pass through.
    """
    client.ping()
    info: Mapping[str, Any] = client.info()
    version = str(info.get("redis_version", ""))
    if _version_tuple(version) < _MIN_VERSION:
        raise BrokerError(
            f"{name} is Redis {plain(version) or 'of an unknown version'}: Redis 7.0 or Valkey is required"
        )
    if info.get("role") == "slave":
        primary = plain(f"{info.get('master_host')}:{info.get('master_port')}")
        raise BrokerError(f"{name} is a read-only replica of {primary}: give the address of the primary")
    return [f"{name} {warning}" for warning in _durability_warnings(info, _fsync(client))]


def _version_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _fsync(client: Any) -> str:
    """The setting `appendfsync`; empty if the server denies CONFIG, as managed servers often do."""
    redis = redis_package()
    try:
        return str(client.config_get("appendfsync").get("appendfsync", ""))
    except redis.ResponseError:
        return ""


def _durability_warnings(info: Mapping[str, Any], fsync: str) -> list[str]:
    warnings = []
    if not to_int(info.get("aof_enabled")):
        warnings.append(
            "keeps its data in memory only: a restart loses queued items; set appendonly yes, appendfsync always"
        )
    elif fsync not in ("", "always"):
        warnings.append(
            f"has appendfsync {plain(fsync)}: a power failure can lose queued items; set appendfsync always"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if to_int(info.get("maxmemory")) and policy != "noeviction":
        warnings.append(
            f"may evict our keys when its memory is full ({plain(policy)}): set maxmemory-policy noeviction"
        )
    return warnings
