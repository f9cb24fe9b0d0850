"""What the broker's refusals mean and what to do about them. The only place that knows redis-py's exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sp500tui.cluster.errors import BrokerError
from sp500tui.pipeline.snapshot import Health
from sp500tui.plain_text import plain

_WORDS: tuple[tuple[str, Health, bool, str], ...] = (
    ("NOAUTH", Health.DOWN, False, "wants a password: give it in the URL or with --broker-password-file"),
    ("WRONGPASS", Health.DOWN, False, "refuses the password: mend it in the URL or --broker-password-file"),
    ("NOPERM", Health.DOWN, False, "lets this user do too little: allow it keys sp500tui:* and scripts"),
    ("READONLY", Health.DOWN, True, "is a read-only replica: give the address of the primary"),
    ("OOM", Health.DEGRADED, True, "is out of memory: raise its maxmemory, or start more writers"),
    ("MISCONF", Health.DEGRADED, True, "cannot write to its disk: mend that there"),
    ("NOREPLICAS", Health.DEGRADED, True, "has too few replicas in reach to take writes: mend that there"),
    ("LOADING", Health.DOWN, True, "is still reading its data after a start"),
    ("BUSY", Health.DEGRADED, True, "is busy with a script of somebody"),
    ("MASTERDOWN", Health.DOWN, True, "has lost its primary"),
    (
        "MOVED",
        Health.DOWN,
        False,
        "is one node of a Redis Cluster that keeps our keys elsewhere: name that node",
    ),
    ("CLUSTERDOWN", Health.DOWN, True, "is a node of a Redis Cluster that is down"),
    ("WRONGTYPE", Health.DOWN, False, "holds other data under our keys: choose another --cluster-name"),
)
"""First word of the error → how bad it is, whether it may pass by itself, the words."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command failed."""

    words: str
    """Goes on after `the broker at …`."""
    health: Health
    passing: bool
    """Whether the same command may work later, with nobody doing anything here."""


def redis_package() -> Any:
    """The package redis.

    Raises:
        BrokerError: it is not installed.
    """
    try:
        import redis
    except ImportError as error:
        raise BrokerError("a cluster needs the package redis: install sp500tui[cluster]") from error
    return redis


def refusal(error: Exception) -> Refusal:
    """What an exception of redis-py means."""
    redis = redis_package()
    text = plain(str(error))
    code = type(error).__name__
    for word, health, passing, words in _WORDS:
        if word in _codes(error, text):
            return Refusal(words, health, passing)
    if isinstance(error, redis.AuthenticationError):
        return Refusal(f"refuses to let us in: {text}", Health.DOWN, False)
    if isinstance(error, redis.TimeoutError):
        return Refusal("does not answer", Health.DOWN, True)
    if isinstance(error, (redis.ConnectionError, OSError)):
        return Refusal(f"cannot be reached: {text or code}", Health.DOWN, True)
    return Refusal(f"refuses a command: {text or code}", Health.DOWN, False)


_CLASSES = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "BusyLoadingError": "LOADING",
    "MovedError": "MOVED",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
}
"""Exceptions of redis-py that come without the word the broker began with."""


def _codes(error: Exception, text: str) -> set[str]:
    first = text.split(" ", 1)[0].lstrip("-")
    known = _CLASSES.get(type(error).__name__, "")
    if type(error).__name__ == "AuthenticationError":
        lowered = text.lower()
        known = "NOAUTH" if "required" in lowered else "WRONGPASS" if "invalid" in lowered else ""
    return {first, known}
