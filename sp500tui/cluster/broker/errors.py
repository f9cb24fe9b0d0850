"""Errors of the broker: the exceptions, and what each failure of redis-py means. Only this module interprets those."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sp500tui.errors import ConfigurationError, ExitCode, Sp500tuiError
from sp500tui.logs.redaction import plain
from sp500tui.pipeline.core.snapshot import Health


class BrokerError(Sp500tuiError):
    """The broker cannot be used: wrong password, unsupported server, or keys that another program has changed."""

    exit_code = ExitCode.DATABASE


class BrokerAwayError(BrokerError):
    """The broker is unreachable or refuses writes for now; the same call may succeed later."""


class BrokerUrlError(BrokerError):
    """The broker's URL is invalid."""

    exit_code = ExitCode.USAGE


class FencedError(BrokerError):
    """Another node has become the scheduler, so this node's write was rejected."""


class Retryability(StrEnum):
    """The condition under which a failed command succeeds."""

    TIME = "time"
    """The failure may pass without intervention."""
    OPERATOR = "operator"
    """An operator can repair the broker while the program keeps retrying."""
    NOTHING = "nothing"
    """The command itself is wrong."""


@dataclass(frozen=True, slots=True)
class BrokerErrorInfo:
    """Why a command failed."""

    message: str
    """Predicate of a sentence that begins with `the broker at …`; includes the remedy."""
    health: Health
    retryability: Retryability
    may_be_data: bool = False
    """Whether the data under our keys may be the cause: another program can have written to them."""


_TIME, _OPERATOR = Retryability.TIME, Retryability.OPERATOR
_BY_CODE = {
    "NOAUTH": BrokerErrorInfo(
        "requires a password; set it in the URL or with --broker-password-file", Health.DOWN, _OPERATOR
    ),
    "WRONGPASS": BrokerErrorInfo(
        "rejects the password; correct it in the URL or in --broker-password-file", Health.DOWN, _OPERATOR
    ),
    "NOPERM": BrokerErrorInfo(
        "denies permission: the ACL user needs the keys sp500tui:*, scripts and INFO", Health.DOWN, _OPERATOR
    ),
    "READONLY": BrokerErrorInfo(
        "is a read-only replica: give the address of the primary", Health.DOWN, _TIME
    ),
    "OOM": BrokerErrorInfo(
        "is out of memory: raise its maxmemory, or start more writers", Health.DEGRADED, _TIME
    ),
    "MISCONF": BrokerErrorInfo(
        "cannot persist to disk (MISCONF): check the disk of the broker's machine", Health.DEGRADED, _TIME
    ),
    "NOREPLICAS": BrokerErrorInfo(
        "has too few connected replicas to accept writes: check its replicas", Health.DEGRADED, _TIME
    ),
    "LOADING": BrokerErrorInfo("is still loading its data after a restart", Health.DOWN, _TIME),
    "BUSY": BrokerErrorInfo("is busy running a script of another client", Health.DEGRADED, _TIME),
    "MASTERDOWN": BrokerErrorInfo("has lost its primary", Health.DOWN, _TIME),
    "MOVED": BrokerErrorInfo(
        "is a node of a Redis Cluster that does not hold our keys: give the address of the node that does",
        Health.DOWN,
        _OPERATOR,
    ),
    "CLUSTERDOWN": BrokerErrorInfo("is a node of a Redis Cluster that is down", Health.DOWN, _TIME),
    "WRONGTYPE": BrokerErrorInfo(
        "holds other data under our keys: choose another --cluster-name",
        Health.DOWN,
        _OPERATOR,
        may_be_data=True,
    ),
}
"""Error code, the first word of the broker's error reply → its meaning."""

_CODE_OF_CLASS = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "BusyLoadingError": "LOADING",
    "MovedError": "MOVED",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
}
"""Exceptions of redis-py whose text lacks the error code."""

_HOSTNAME_MISMATCH = (
    "presents a certificate for another host name ({}): use a name from the certificate in the URL"
)
_UNKNOWN_AUTHORITY = (
    "presents a certificate signed by an unknown authority ({}): "
    "name its CA certificate in the URL, rediss://host:6379/0?ssl_ca_certs=/path/ca.pem"
)
_CERTIFICATE_ERRORS = {
    9: "presents a certificate that is not valid yet: correct the certificate or the clock of either machine",
    10: "presents an expired certificate: renew it on the broker",
    18: _UNKNOWN_AUTHORITY,
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    62: _HOSTNAME_MISMATCH,
    64: _HOSTNAME_MISMATCH,
}
"""OpenSSL's X509_V_ERR_… → the problem and the remedy."""


def redis_package() -> Any:
    """The package redis, imported on first use.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import redis
    except ImportError as error:
        raise ConfigurationError("a cluster needs the package redis; install sp500tui[cluster]") from error
    return redis


def describe_error(error: Exception) -> BrokerErrorInfo:
    """Classify an exception of redis-py."""
    redis = redis_package()
    text = plain(str(error))
    code = _error_code(error, text)
    if code is not None:
        return _BY_CODE[code]
    if isinstance(error, redis.AuthenticationError):
        return BrokerErrorInfo(f"rejects the login: {text}", Health.DOWN, _OPERATOR)
    if (certificate := _certificate_error(error)) is not None:
        return BrokerErrorInfo(certificate, Health.DOWN, _OPERATOR)
    if isinstance(error, redis.TimeoutError):
        return BrokerErrorInfo("does not answer", Health.DOWN, _TIME)
    reason = text or type(error).__name__
    if isinstance(error, (redis.ConnectionError, OSError)):
        return BrokerErrorInfo(f"cannot be reached: {reason}", Health.DOWN, _TIME)
    return BrokerErrorInfo(
        f"rejects a command: {reason}", Health.DOWN, Retryability.NOTHING, may_be_data=True
    )


def _error_code(error: Exception, text: str) -> str | None:
    """The key of `_BY_CODE` for an error reply; None for any other exception."""
    name = type(error).__name__
    codes = {text.split(" ", 1)[0].lstrip("-"), _CODE_OF_CLASS.get(name, "")}
    lowered = text.lower()
    # Redis answers an unauthenticated client's command of more than ten words without NOAUTH.
    if "unauthenticated" in text or (name == "AuthenticationError" and "required" in lowered):
        codes.add("NOAUTH")
    elif name == "AuthenticationError" and "invalid" in lowered:
        codes.add("WRONGPASS")
    return next((code for code in _BY_CODE if code in codes), None)


def _certificate_error(error: BaseException | None) -> str | None:
    """The certificate error that caused an exception of redis-py; None when there is another cause."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    message = _CERTIFICATE_ERRORS.get(
        error.verify_code, "presents an invalid certificate ({}): replace it on the broker"
    )
    return message.format(error.verify_message.rstrip("."))
