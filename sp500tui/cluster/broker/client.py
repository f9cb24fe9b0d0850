"""The broker: the one connection pool to Redis or Valkey, scripts that outlast cut connections, its clock."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sp500tui.cluster.broker.checks import check_server
from sp500tui.cluster.broker.errors import BrokerAwayError, BrokerError
from sp500tui.cluster.broker.refusals import Refusal, Retryability, redis_package, refusal
from sp500tui.cluster.broker.scripts import Script, load
from sp500tui.cluster.broker.tls import check_files, check_language
from sp500tui.logs.redaction import plain, redact_url
from sp500tui.pipeline.core.queue import CancelledError
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.sources.backoff import BackOff

_log = logging.getLogger(__name__)

_RETRY = BackOff(base=0.1, cap=3.0)
_TIMEOUT = 5.0
"""Seconds after which a silent broker counts as away."""
_POLL_INTERVAL = 0.25
"""Seconds between two looks at `cancelled` while a call waits."""
_RECOVERY_GRACE = 1.0
"""Seconds without a refusal after which a broker that refused some commands counts as well again."""
_REPAIRS = 3
"""How often the keys of one command are repaired before its failure counts."""
_CLOCK_TTL = 60.0
"""Seconds after which the broker's clock is read again."""

Argument = str | bytes | int | float

_KINDS = {
    "heard": "zset",
    "scheduler": "string",
    "scheduler:token": "number",
    "op": "string",
    "books": "counts",
    "queue": "stream",
    **dict.fromkeys(("beats", "details", "lost", "cycle", "wishes", "missing", "fx", "list", "walk"), "hash"),
}
"""Keys of the namespace, or their first part, and what they are: see `repair.lua`."""


def kind_of(name: str) -> str:
    """What the key of that name in our namespace must be; empty for a name that is not known."""
    return _KINDS.get(name) or _KINDS.get(name.partition(":")[0], "")


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the broker's state. Run again, it is answered with its first result, not applied again."""

    slot: str
    """Key that remembers the result of the last operation of this slot, for an hour."""
    name: str


class Broker:
    """A Redis or Valkey server and our namespace on it. Thread-safe."""

    def __init__(
        self,
        url: str,
        cluster_name: str,
        *,
        password: str | None = None,
        timeout: float = _TIMEOUT,
        rng: Callable[[], float] = random.random,
    ) -> None:
        """`password`: used where the URL holds none. `timeout`: seconds a silent broker is waited for."""
        self.address = redact_url(url)
        self._name = f"the broker at {self.address}"
        self._tls = url.startswith("rediss:")
        self.cluster_name = cluster_name
        self._url = url
        self._password = password
        self._timeout = timeout
        self._rng = rng
        self._client: Any = None
        self._abandoned = threading.Event()
        self._lock = threading.Lock()
        self._health = (Health.STARTING, f"{self._name} has not been asked yet", 0.0)
        self._free_slots: deque[str] = deque()
        self._instance = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        self._offset = 0.0
        self._clock_read = 0.0

    def open(self, *, patience: float | None = 0.0, cancelled: Callable[[], bool] | None = None) -> None:
        """Connect and check that the server can be what it must be; warnings about the rest go to the log.

        `patience`: seconds for which a broker that is away is tried again; None for as long as it takes.

        Raises:
            BrokerError: the package is missing, the server refuses us, is too old or is a replica, or with TLS
                there is something that only a person can mend.
            BrokerAwayError: it was not reached in time.
            CancelledError: `cancelled` said so.
        """
        self._client = self._connect()
        redis = redis_package()
        options = self._client.connection_pool.connection_kwargs

        def greet() -> None:
            try:
                warnings = check_server(self._client, self._name)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if refusal(error).retryability is Retryability.TIME:
                    check_language(options, self._name, tls=self._tls)
                raise
            for warning in warnings:
                _log.warning("%s", warning)
            self._read_clock()

        self._with_retry(greet, patience, cancelled, curable=(Retryability.TIME,))

    def _connect(self) -> Any:
        redis = redis_package()
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        try:
            # Where the URL has a password, redis-py takes that one.
            client = redis.Redis.from_url(
                self._url,
                password=self._password,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                socket_keepalive=True,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
            # redis-py looks at most of the URL's options only when it makes a connection.
            client.connection_pool.make_connection()
        except (ValueError, TypeError, redis.RedisError) as error:
            raise BrokerError(
                f"the URL {self.address} is of no use ({plain(str(error))}): give one such as redis://host:6379/0"
            ) from error
        check_files(client.connection_pool.connection_kwargs, self._name)
        return client

    def key(self, *components: str) -> str:
        """A key in our namespace; the braces keep all of them on one node of a Redis Cluster."""
        return ":".join((f"sp500tui:{{{self.cluster_name}}}", *components))

    # --- scripts ------------------------------------------------------------------------------------------------

    def run(
        self,
        script: str,
        keys: Sequence[str] = (),
        args: Sequence[Argument] = (),
        *,
        operation: Operation | None = None,
        patience: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """Run a script of `cluster/scripts` and return what it returns: bytes, integers, lists of them.

        While the broker is away or lets us do nothing it is tried again, for `patience` seconds or, with None, until
        it answers: what a worker has in hand is not to be lost by somebody's change of a password. With an
        `operation` its slot goes before `keys` and its name before `args`.

        Raises:
            BrokerError: the command is at fault.
            BrokerAwayError: the patience is over, or `abandon` was called.
            CancelledError: `cancelled` said so.
        """
        program = load(script)
        if operation is not None:
            keys, args = (operation.slot, *keys), (operation.name, *args)
        return self._with_retry(lambda: self._evaluate(program, keys, args), patience, cancelled, keys=keys)

    def run_once(
        self,
        script: str,
        keys: Sequence[str] = (),
        args: Sequence[Argument] = (),
        *,
        patience: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """Run a script as a new operation: however often the connection is cut, it is applied at most once."""
        operation = self.operation()
        answer = self.run(script, keys, args, operation=operation, patience=patience, cancelled=cancelled)
        self.settled(operation)
        return answer

    def operation(self) -> Operation:
        """A new operation, which is to be `settled` once its result is known."""
        try:
            slot = self._free_slots.popleft()
        except IndexError:
            slot = self.key("op", f"{self._instance}-{next(self._numbers)}")
        return Operation(slot, str(next(self._numbers)))

    def settled(self, operation: Operation) -> None:
        """Its result is known: its slot may serve another."""
        self._free_slots.append(operation.slot)

    def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        redis = redis_package()
        if self._client is None:
            self._client = self._connect()
        try:
            answer = self._client.evalsha(script.sha, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            answer = self._client.eval(script.source, len(keys), *keys, *args)
        if time.monotonic() - self._clock_read > _CLOCK_TTL:
            self._read_clock()
        return answer

    def _with_retry(
        self,
        attempt: Callable[[], Any],
        patience: float | None,
        cancelled: Callable[[], bool] | None,
        *,
        curable: tuple[Retryability, ...] = (Retryability.TIME, Retryability.OPERATOR),
        keys: Sequence[str] = (),
    ) -> Any:
        redis = redis_package()
        end = None if patience is None else time.monotonic() + patience
        for strike in itertools.count(1):
            try:
                answer = attempt()
            except (redis.RedisError, OSError) as error:
                trouble = refusal(error)
                if trouble.data and strike <= _REPAIRS and self._repair(keys):
                    continue
                if strike == 1 and self._drop_idle_connections(error):
                    continue
                delay = _RETRY.delay(strike, self._rng())
                message = self._mark_unhealthy(trouble, delay)
                if trouble.retryability not in curable:
                    raise BrokerError(message) from error
                if end is not None and time.monotonic() + delay > end:
                    raise BrokerAwayError(message) from error
                self._sleep(delay, message, cancelled)
            else:
                self._mark_healthy(strike > 1)
                return answer
        return None

    def _repair(self, keys: Sequence[str]) -> bool:
        """Make keys usable that another program has written to; whether any had to be changed."""
        prefix = self.key("")
        kinds = {key: kind for key in keys if (kind := kind_of(key.removeprefix(prefix)))}
        suffix = f":unreadable-{uuid.uuid4().hex[:8]}"
        try:
            changes = self._evaluate(load("repair"), list(kinds), [*kinds.values(), suffix])
        except (redis_package().RedisError, OSError) as error:
            _log.warning("%s: its keys could not be checked: %s", self._name, plain(str(error)))
            return False
        for change in changes:
            _log.warning("%s held what is not ours: %s", self._name, plain(change.decode("utf-8", "replace")))
        return bool(changes)

    def _drop_idle_connections(self, error: Exception) -> bool:
        """After a restart of the broker every idle connection is dead: that alone is no trouble worth a word."""
        stale = isinstance(error, redis_package().ConnectionError) and self._health[0] is Health.OK
        if stale:
            self._client.connection_pool.disconnect(inuse_connections=False)
        return stale

    def _sleep(self, seconds: float, message: str, cancelled: Callable[[], bool] | None) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if cancelled is not None and cancelled():
                raise CancelledError
            if self._abandoned.wait(min(left, _POLL_INTERVAL)):
                raise BrokerAwayError(message)

    # --- how it is ----------------------------------------------------------------------------------------------

    def health(self) -> tuple[Health, str, float | None]:
        """How the broker is, in words, and the seconds until the next attempt while it is not well."""
        with self._lock:
            health, message, retry_at = self._health
        waiting = health in (Health.DOWN, Health.DEGRADED)
        return health, message, max(0.0, retry_at - time.monotonic()) if waiting else None

    def _mark_unhealthy(self, trouble: Refusal, delay: float) -> str:
        message = f"{self._name} {trouble.words}"
        with self._lock:
            told = self._health[:2] == (trouble.health, message)
            self._health = (trouble.health, message, time.monotonic() + delay)
        if not told:
            _log.warning("%s", message)
        return message

    def _mark_healthy(self, healed: bool) -> None:
        """A command worked; `healed` when the same one had failed before."""
        health, _, until = self._health
        if health is Health.OK:
            return
        # What lets some commands through and others not, as a full memory does, is not over with one of the former.
        if health is Health.DEGRADED and not healed and time.monotonic() < until + _RECOVERY_GRACE:
            return
        with self._lock:
            before, self._health = self._health[0], (Health.OK, "", 0.0)
        if before in (Health.DOWN, Health.DEGRADED):
            _log.warning("%s works again", self._name)

    # --- its clock ----------------------------------------------------------------------------------------------

    @property
    def offset(self) -> float:
        """Seconds to add to `time.monotonic()` for the time of the broker's clock (seconds since 1970)."""
        return self._offset

    def now(self) -> float:
        """The broker's clock in seconds: the same on all nodes, however wrong their own clocks are."""
        return time.monotonic() + self._offset

    def _read_clock(self) -> None:
        asked = time.monotonic()
        seconds, microseconds = self._client.time()
        answered = time.monotonic()
        self._offset = seconds + microseconds / 1e6 - (asked + answered) / 2
        self._clock_read = answered

    # --- the end ------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Wait for a broker that is away no longer: the stop ladder's second step."""
        self._abandoned.set()

    def close(self) -> None:
        """Let all connections go."""
        self.abandon()
        if self._client is not None:
            self._client.close()
