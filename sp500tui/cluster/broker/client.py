"""The client of the broker (Redis or Valkey): connection pool, retried commands and scripts, shared clock."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sp500tui.backoff import BackOff
from sp500tui.cluster.broker.checks import check_server
from sp500tui.cluster.broker.errors import (
    BrokerAwayError,
    BrokerError,
    BrokerErrorInfo,
    BrokerUrlError,
    Retryability,
    describe_error,
    redis_package,
)
from sp500tui.cluster.broker.scripts import Script, load
from sp500tui.cluster.broker.tls import check_files, diagnose_tls_mismatch
from sp500tui.cluster.broker.values import to_text
from sp500tui.logs.redaction import plain, redact_url
from sp500tui.pipeline.core.queue import CancelledError
from sp500tui.pipeline.core.snapshot import Health

_log = logging.getLogger(__name__)

_RETRY = BackOff(base=0.1, cap=3.0)
_TIMEOUT = 5.0
"""Socket timeout in seconds; an unresponsive broker counts as unavailable after it."""
_POLL_INTERVAL = 0.25
"""Seconds between two checks of `cancelled` while a call waits."""
_RECOVERY_GRACE = 1.0
"""Seconds without an error after which a broker that rejected some commands counts as healthy again."""
_MAX_REPAIRS = 3
"""Maximum number of key repairs for one command before its error is reported."""
_CLOCK_TTL = 60.0
"""Seconds after which the broker's clock is read again."""
_MAX_CLOCK_DRIFT = 1.0
"""Seconds by which the time of day may drift from the monotonic clock before then."""

Argument = str | bytes | int | float

_KEY_TYPES = {
    "heard": "zset",
    "scheduler": "string",
    "scheduler:token": "number",
    "op": "string",
    "books": "counts",
    "queue": "stream",
    **dict.fromkeys(
        ("beats", "details", "lost", "cycle", "desired", "missing", "fx", "list", "walk"), "hash"
    ),
}
"""Key of the namespace, or its first component → its type as `repair.lua` names it."""


def key_type(name: str) -> str:
    """The type that a key of our namespace must have; empty for an unknown name."""
    return _KEY_TYPES.get(name) or _KEY_TYPES.get(name.partition(":")[0], "")


@dataclass(frozen=True, slots=True)
class Operation:
    """An idempotency token: a script that is run again with it returns its first result and changes nothing."""

    slot: str
    """Key that holds the result of the last operation of this slot, for an hour."""
    name: str


class Broker:
    """A Redis or Valkey server, and the cluster's namespace on it. Thread-safe."""

    def __init__(
        self,
        url: str,
        cluster_name: str,
        *,
        password: str | None = None,
        timeout: float = _TIMEOUT,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`password`: used when the URL has none. `timeout`: socket timeout in seconds.

        `clock`: the time of day of this machine, which also advances while the machine is suspended.
        """
        self.address = redact_url(url)
        self._name = f"the broker at {self.address}"
        self._tls = url.startswith("rediss:")
        self.cluster_name = cluster_name
        self._url = url
        self._password = password
        self._timeout = timeout
        self._jitter = jitter
        self._client: Any = None
        self._abandoned = threading.Event()
        self._lock = threading.Lock()
        self._health = (Health.STARTING, f"{self._name} has not been contacted yet", 0.0)
        self._free_slots: deque[str] = deque()
        self._instance = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        self._offset = 0.0
        self._clock_read = 0.0
        self._clock = clock
        self._time_of_day = 0.0
        """The time of day minus `time.monotonic()` when the broker's clock was read."""

    def open(self, *, retry_for: float | None = 0.0, cancelled: Callable[[], bool] | None = None) -> None:
        """Connect and check the server's version, role and configuration; log warnings about its durability.

        `retry_for`: seconds to retry while the broker is unavailable; None to retry without limit.

        Raises:
            BrokerError: the package is missing, the server rejects the login, is too old or a replica, or the TLS
                configuration is wrong.
            BrokerAwayError: the broker was not reached in time.
            CancelledError: `cancelled` returned true.
        """
        self._client = self._connect()
        redis = redis_package()
        options = self._client.connection_pool.connection_kwargs

        def handshake() -> None:
            try:
                warnings = check_server(self._client, self._name)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if describe_error(error).retryability is Retryability.TIME:
                    diagnose_tls_mismatch(options, self._name, tls=self._tls)
                raise
            for warning in warnings:
                _log.warning("%s", warning)
            self._read_clock()

        self._with_retry(handshake, retry_for, cancelled, retryable=(Retryability.TIME,))

    def _connect(self) -> Any:
        redis = redis_package()
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            # redis-py prefers a password in the URL.
            client = redis.Redis.from_url(
                self._url,
                password=self._password,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                socket_keepalive=True,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
            # redis-py validates most options of the URL only when it creates a connection.
            client.connection_pool.make_connection()
        except (ValueError, TypeError, redis.RedisError) as error:
            raise BrokerUrlError(
                f"invalid broker URL {self.address}: {plain(str(error))}; example: redis://host:6379/0"
            ) from error
        check_files(client.connection_pool.connection_kwargs, self._name)
        return client

    def key(self, *components: str) -> str:
        """A key in our namespace; the hash tag keeps all of them on one node of a Redis Cluster."""
        return ":".join((f"sp500tui:{{{self.cluster_name}}}", *components))

    # --- commands and scripts -----------------------------------------------------------------------------------

    def run(
        self,
        script: str,
        keys: Sequence[str] = (),
        args: Sequence[Argument] = (),
        *,
        operation: Operation | None = None,
        retry_for: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """Run a script of `cluster/broker/scripts` and return its result: bytes, integers or lists of them.

        While the broker is unavailable or denies access the script is retried, for `retry_for` seconds or, with None,
        until it succeeds, so that a changed password costs no leased items. With an `operation`, its slot is put
        before `keys` and its name before `args`.

        Raises:
            BrokerError: the command is wrong.
            BrokerAwayError: `retry_for` has passed, or `abandon` was called.
            CancelledError: `cancelled` returned true.
        """
        program = load(script)
        if operation is not None:
            keys, args = (operation.slot, *keys), (operation.name, *args)
        return self._with_retry(lambda: self._evaluate(program, keys, args), retry_for, cancelled, keys=keys)

    def read_hash(self, key: str, *, retry_for: float | None = None) -> dict[str, bytes]:
        """All fields of a hash. Raises as `run` does."""
        found = self._with_retry(lambda: self._connection().hgetall(key), retry_for, None, keys=[key])
        return {to_text(name): value for name, value in found.items()}

    def set_fields(self, key: str, fields: Mapping[str, str], *, retry_for: float | None = None) -> None:
        """Set fields of a hash, even when the broker's memory is full. Raises as `run` does."""
        flat = [part for pair in fields.items() for part in pair]
        if flat:
            self.run("set_fields", [key], flat, retry_for=retry_for)

    def delete_fields(self, key: str, names: Sequence[str], *, retry_for: float | None = None) -> None:
        """Remove fields of a hash. Raises as `run` does."""
        self._with_retry(lambda: self._connection().hdel(key, *names), retry_for, None, keys=[key])

    def run_once(
        self,
        script: str,
        keys: Sequence[str] = (),
        args: Sequence[Argument] = (),
        *,
        retry_for: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """Run a script as a new operation, applied at most once even when the connection is cut and it is retried."""
        operation = self.operation()
        answer = self.run(script, keys, args, operation=operation, retry_for=retry_for, cancelled=cancelled)
        self.finish(operation)
        return answer

    def operation(self) -> Operation:
        """A new operation; pass it to `finish` once its result is known."""
        try:
            slot = self._free_slots.popleft()
        except IndexError:
            slot = self.key("op", f"{self._instance}-{next(self._numbers)}")
        return Operation(slot, str(next(self._numbers)))

    def finish(self, operation: Operation) -> None:
        """Make the slot of a completed operation available to the next one."""
        self._free_slots.append(operation.slot)

    def _connection(self) -> Any:
        """The client of redis-py, created on first use."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        redis, client = redis_package(), self._connection()
        try:
            answer = client.evalsha(script.sha, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            answer = client.eval(script.source, len(keys), *keys, *args)
        if self._is_clock_outdated():
            self._read_clock()
        return answer

    def _is_clock_outdated(self) -> bool:
        """Whether the broker's clock must be read again: after a while, or when this machine was suspended.

        On Linux and macOS `time.monotonic()` stops during suspend, so the time of day runs ahead of it.
        """
        now = time.monotonic()
        drift = abs(self._clock() - now - self._time_of_day)
        return now - self._clock_read > _CLOCK_TTL or drift > _MAX_CLOCK_DRIFT

    def _with_retry(
        self,
        attempt: Callable[[], Any],
        retry_for: float | None,
        cancelled: Callable[[], bool] | None,
        *,
        retryable: tuple[Retryability, ...] = (Retryability.TIME, Retryability.OPERATOR),
        keys: Sequence[str] = (),
    ) -> Any:
        redis = redis_package()
        end = None if retry_for is None else time.monotonic() + retry_for
        for failures in itertools.count(1):
            try:
                answer = attempt()
            except (redis.RedisError, OSError) as error:
                info = describe_error(error)
                if info.may_be_data and failures <= _MAX_REPAIRS and self._repair(keys):
                    continue
                if failures == 1 and self._drop_idle_connections(error):
                    continue
                delay = _RETRY.delay(failures, self._jitter())
                message = self._mark_unhealthy(info, delay)
                if info.retryability not in retryable:
                    raise BrokerError(message) from error
                if end is not None and time.monotonic() + delay > end:
                    raise BrokerAwayError(message) from error
                self._sleep(delay, message, cancelled)
            else:
                self._mark_healthy(failures > 1)
                return answer
        return None

    def _repair(self, keys: Sequence[str]) -> bool:
        """Repair keys that another program has written to; returns whether any was changed."""
        prefix = self.key("")
        types = {key: type_ for key in keys if (type_ := key_type(key.removeprefix(prefix)))}
        suffix = f":unreadable-{uuid.uuid4().hex[:8]}"
        try:
            changes = self._evaluate(load("repair"), list(types), [*types.values(), suffix])
        except (redis_package().RedisError, OSError) as error:
            _log.warning("%s: its keys could not be checked: %s", self._name, plain(str(error)))
            return False
        for change in changes:
            _log.warning(
                "%s held data of another program: %s", self._name, plain(change.decode("utf-8", "replace"))
            )
        return bool(changes)

    def _drop_idle_connections(self, error: Exception) -> bool:
        """Close idle connections: a restart of the broker breaks all of them, which alone is not reported."""
        restarted = isinstance(error, redis_package().ConnectionError) and self._health[0] is Health.OK
        if restarted:
            self._client.connection_pool.disconnect(inuse_connections=False)
        return restarted

    def _sleep(self, seconds: float, message: str, cancelled: Callable[[], bool] | None) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if cancelled is not None and cancelled():
                raise CancelledError
            if self._abandoned.wait(min(left, _POLL_INTERVAL)):
                raise BrokerAwayError(message)

    # --- health -------------------------------------------------------------------------------------------------

    def health(self) -> tuple[Health, str, float | None]:
        """The broker's health, a message, and the seconds until the next attempt while it is unhealthy."""
        with self._lock:
            health, message, retry_at = self._health
        waiting = health in (Health.DOWN, Health.DEGRADED)
        return health, message, max(0.0, retry_at - time.monotonic()) if waiting else None

    def _mark_unhealthy(self, info: BrokerErrorInfo, delay: float) -> str:
        message = f"{self._name} {info.message}"
        with self._lock:
            reported = self._health[:2] == (info.health, message)
            self._health = (info.health, message, time.monotonic() + delay)
        if not reported:
            _log.warning("%s", message)
        return message

    def _mark_healthy(self, retried: bool) -> None:
        """Record a successful command; `retried` when it had failed before."""
        health, _, until = self._health
        if health is Health.OK:
            return
        # A condition that rejects only some commands, such as full memory, is not over when another command succeeds.
        if health is Health.DEGRADED and not retried and time.monotonic() < until + _RECOVERY_GRACE:
            return
        with self._lock:
            before, self._health = self._health[0], (Health.OK, "", 0.0)
        if before in (Health.DOWN, Health.DEGRADED):
            _log.warning("%s works again", self._name)

    # --- clock --------------------------------------------------------------------------------------------------

    @property
    def offset(self) -> float:
        """Seconds to add to `time.monotonic()` to obtain the broker's clock (seconds since 1970)."""
        return self._offset

    def now(self) -> float:
        """The broker's clock in seconds since 1970; independent of the nodes' own clocks."""
        return time.monotonic() + self._offset

    def _read_clock(self) -> None:
        sent = time.monotonic()
        seconds, microseconds = self._client.time()
        received = time.monotonic()
        self._offset = seconds + microseconds / 1e6 - (sent + received) / 2
        self._clock_read, self._time_of_day = received, self._clock() - received

    # --- shutdown -----------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Stop retrying: every waiting call raises `BrokerAwayError`."""
        self._abandoned.set()

    def close(self) -> None:
        """Close all connections."""
        self.abandon()
        if self._client is not None:
            self._client.close()
