"""Watches the program's locks: which are acquired while others are held, and which calls wait with a lock held."""

from __future__ import annotations

import linecache
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import psycopg
import pytest

from sp500tui.cluster.broker.client import Broker

MAY_WAIT = frozenset(
    {
        "EmbeddedServer._lock",
        "Journal._active_lock",
        "Segment._lock",
        "Segment._sync_lock",
        "StreamQueue._poll_lock",
        "YahooFinance._opening",
    }
)
"""Locks held across calls that wait for a server, the disk or the network. Snapshots acquire none of them."""
_WAITING_EVENTS = frozenset({"socket.connect", "subprocess.Popen", "time.sleep"})
"""Audit events of calls that can block."""
_ATTRIBUTE = re.compile(r"self\.(\w+)")


_LEVELS = {"SecondHistory._lock": 1, "WorkerPool._lock": 2, "LedgerCounters.lock": 3}
_INNERMOST = 4


def _level(name: str) -> int:
    """The level of a lock in the order: locks that may be held while waiting first, those of single objects last."""
    return 0 if name in MAY_WAIT else _LEVELS.get(name, _INNERMOST)


class Watch:
    """Records the use of the locks created while it is active."""

    def __init__(self) -> None:
        self.on = True
        self.taken: dict[tuple[str, str], str] = {}
        """A held lock and one acquired while it was held, with the code location."""
        self.waits: list[str] = []
        """Calls that can block, made while a lock was held that forbids it."""
        self.names: set[str] = set()
        self._held = threading.local()

    def held(self) -> list[str]:
        """The locks held by this thread, outermost first."""
        if not hasattr(self._held, "names"):
            self._held.names = []
        names: list[str] = self._held.names
        return names

    def take(self, name: str) -> None:
        held = self.held()
        for other in held:
            if other != name and (other, name) not in self.taken:
                self.taken[other, name] = _place()
        held.append(name)

    def let_go(self, name: str) -> None:
        held = self.held()
        held.reverse()
        held.remove(name)
        held.reverse()

    def waiting(self, what: str) -> None:
        """Record a call of this thread that can block."""
        short = [name for name in self.held() if name not in MAY_WAIT]
        if self.on and short:
            self.waits.append(f"{what} while {short} is held, in {_place()}")

    def out_of_order(self) -> list[str]:
        """Locks acquired against the order in docs/reliability.md."""
        return [
            f"{inner} after {outer} in {place}"
            for (outer, inner), place in self.taken.items()
            if _level(inner) <= _level(outer) and not {outer, inner} <= MAY_WAIT
        ]

    def cycles(self) -> list[str]:
        """Locks acquired in both orders, directly or indirectly."""
        after: dict[str, set[str]] = {}
        for outer, inner in self.taken:
            after.setdefault(outer, set()).add(inner)
        return sorted(name for name in after if name in _reached(after, name))


def _reached(after: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = list(after.get(start, ()))
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += after.get(name, ())
    return found


def _place() -> str:
    """The innermost code location in the program."""
    frame = sys._getframe()
    while frame.f_back is not None and not frame.f_globals.get("__name__", "").startswith("sp500tui."):
        frame = frame.f_back
    return f"{frame.f_globals.get('__name__')}:{frame.f_lineno}"


class WatchedLock:
    """A lock that reports its acquisition and release, with the RLock methods that `threading.Condition` needs."""

    def __init__(self, watch: Watch, name: str, lock: Any) -> None:
        self._watch = watch
        self._name = name
        self._lock = lock

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        taken = bool(self._lock.acquire(blocking, timeout))
        if taken:
            self._watch.take(self._name)
        return taken

    def release(self) -> None:
        self._lock.release()
        self._watch.let_go(self._name)

    def locked(self) -> bool:
        """Whether any thread holds it; also a method of locks in 3.14 and used by the condition of an event."""
        if hasattr(self._lock, "locked"):
            return bool(self._lock.locked())
        return self._is_owned()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        if hasattr(self._lock, "_is_owned"):
            return bool(self._lock._is_owned())
        return self._name in self._watch.held()

    def _release_save(self) -> tuple[Any, int]:
        held = self._watch.held()
        depth = held.count(self._name)
        for _ in range(depth):
            self._watch.let_go(self._name)
        if hasattr(self._lock, "_release_save"):
            return self._lock._release_save(), depth
        self._lock.release()
        return None, depth

    def _acquire_restore(self, saved: tuple[Any, int]) -> None:
        state, depth = saved
        if hasattr(self._lock, "_acquire_restore"):
            self._lock._acquire_restore(state)
        else:
            self._lock.acquire()
        for _ in range(depth):
            self._watch.take(self._name)


def _name_of_new_lock() -> str | None:
    """Class and attribute for which the program creates a lock; None for a lock of a library."""
    frame = sys._getframe(2)
    if frame.f_globals.get("__name__") == "threading" and frame.f_back is not None:
        frame = frame.f_back  # threading.Condition creates its own
    if not frame.f_globals.get("__name__", "").startswith("sp500tui."):
        return None
    found = _ATTRIBUTE.search(linecache.getline(frame.f_code.co_filename, frame.f_lineno))
    owner = frame.f_code.co_qualname.split(".")[0] if sys.version_info >= (3, 11) else ""
    return f"{owner}.{found[1]}" if found else f"{owner}:{frame.f_lineno}"


@contextmanager
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Watch every lock that the program creates from now on."""
    watch = Watch()

    def factory(make: Callable[[], Any]) -> Callable[[], Any]:
        def new() -> Any:
            name = _name_of_new_lock()
            if name is None:
                return make()
            watch.names.add(name)
            return WatchedLock(watch, name, make())

        return new

    def observed(function: Callable[..., Any], what: str) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            watch.waiting(what)
            return function(*args, **kwargs)

        return call

    def audit(event: str, _arguments: object) -> None:
        if watch.on and event in _WAITING_EVENTS:
            watch.waiting(event)

    sys.addaudithook(audit)
    monkeypatch.setattr(threading, "Lock", factory(threading.Lock))
    monkeypatch.setattr(threading, "RLock", factory(threading.RLock))
    monkeypatch.setattr(Broker, "_evaluate", observed(Broker._evaluate, "a command of the broker"))
    monkeypatch.setattr(psycopg.Connection, "execute", observed(psycopg.Connection.execute, "a query"))
    monkeypatch.setattr(psycopg.Cursor, "execute", observed(psycopg.Cursor.execute, "a query"))
    monkeypatch.setattr(logging.Logger, "handle", observed(logging.Logger.handle, "a line of the log"))
    try:
        yield watch
    finally:
        watch.on = False
