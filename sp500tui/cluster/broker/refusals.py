"""What the broker's refusals mean and what to do about them. The only place that knows redis-py's exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.broker.tls import refused_certificate
from sp500tui.logs.redaction import plain
from sp500tui.pipeline.core.snapshot import Health


class Retryability(StrEnum):
    """What helps against a refusal."""

    TIME = "time"
    """It may pass by itself."""
    OPERATOR = "somebody"
    """Whoever runs the broker can mend it, also while we wait."""
    NOTHING = "nothing"
    """The command itself is at fault."""


_WORDS: tuple[tuple[str, Health, Retryability, str], ...] = (
    (
        "NOAUTH",
        Health.DOWN,
        Retryability.OPERATOR,
        "asks for a password; give it in the URL or with --broker-password-file",
    ),
    (
        "WRONGPASS",
        Health.DOWN,
        Retryability.OPERATOR,
        "refuses the password; correct it in the URL or --broker-password-file",
    ),
    (
        "NOPERM",
        Health.DOWN,
        Retryability.OPERATOR,
        "lets this user do too little: allow it the keys sp500tui:*, scripts and INFO",
    ),
    ("READONLY", Health.DOWN, Retryability.TIME, "is a read-only replica: give the address of the primary"),
    (
        "OOM",
        Health.DEGRADED,
        Retryability.TIME,
        "is out of memory: raise its maxmemory, or start more writers",
    ),
    ("MISCONF", Health.DEGRADED, Retryability.TIME, "cannot write to its disk: mend that there"),
    (
        "NOREPLICAS",
        Health.DEGRADED,
        Retryability.TIME,
        "has too few replicas in reach to take writes: mend that there",
    ),
    ("LOADING", Health.DOWN, Retryability.TIME, "is still reading its data after a start"),
    ("BUSY", Health.DEGRADED, Retryability.TIME, "is busy with a script of somebody"),
    ("MASTERDOWN", Health.DOWN, Retryability.TIME, "has lost its primary"),
    (
        "MOVED",
        Health.DOWN,
        Retryability.OPERATOR,
        "is one node of a Redis Cluster that keeps our keys elsewhere: name that node",
    ),
    ("CLUSTERDOWN", Health.DOWN, Retryability.TIME, "is a node of a Redis Cluster that is down"),
    (
        "WRONGTYPE",
        Health.DOWN,
        Retryability.OPERATOR,
        "holds other data under our keys: choose another --cluster-name",
    ),
)
"""First word of the error → how bad it is, what helps, the words."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command failed."""

    words: str
    """Goes on after `the broker at …`."""
    health: Health
    retryability: Retryability
    data: bool = False
    """Whether what lies under our keys may be at fault: another program can have written to them."""


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
    for word, health, retryability, words in _WORDS:
        if word in _codes(error, text):
            return Refusal(words, health, retryability, data=word == "WRONGTYPE")
    if isinstance(error, redis.AuthenticationError):
        return Refusal(f"refuses to let us in: {text}", Health.DOWN, Retryability.OPERATOR)
    if (certificate := refused_certificate(error)) is not None:
        return Refusal(certificate, Health.DOWN, Retryability.OPERATOR)
    if isinstance(error, redis.TimeoutError):
        return Refusal("does not answer", Health.DOWN, Retryability.TIME)
    if isinstance(error, (redis.ConnectionError, OSError)):
        return Refusal(f"cannot be reached: {text or code}", Health.DOWN, Retryability.TIME)
    return Refusal(f"refuses a command: {text or code}", Health.DOWN, Retryability.NOTHING, data=True)


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
    # What Redis says to a command of more than ten words from somebody who has given no password.
    return {first, "NOAUTH" if "unauthenticated" in text else known}
