"""Reports the state of a run to systemd by the protocol of sd_notify(3), without its library."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

from sp500tui.headless.health import not_ready, unhealthy
from sp500tui.pipeline.core.snapshot import Phase, Snapshot

_log = logging.getLogger(__name__)
_STATUS_INTERVAL = 5.0
"""Seconds between two updates of the status line."""
_LONGEST_STEP = 2.0
"""Seconds without progress of the supervisor that are normal, whatever the watchdog's timeout."""


class ServiceManager:
    """The notification socket of the service manager. Without one, `interval` is None and every call does nothing."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog = _watchdog_seconds(environment)
        self._clock = clock
        self._ready = False
        self._stopping = False
        self._status = ""
        self._status_at = float("-inf")

    @property
    def interval(self) -> float | None:
        """Seconds between two calls of `update`; None if none is needed."""
        if not self._address:
            return None
        return min(1.0 if not self._ready else _STATUS_INTERVAL, (self._watchdog or 1e9) / 2)

    def update(self, snapshot: Snapshot, stalled: float) -> None:
        """Report what has changed; `stalled` is the time since the supervisor's last step.

        READY is sent once, when the run collects prices, and STOPPING once, when it ends; both again after a failure.
        The watchdog is fed while the supervisor makes progress, so that systemd restarts a run that hangs, but not one
        that waits for the database or for Yahoo Finance.
        """
        if not self._address:
            return
        now = self._clock()
        lines: list[str] = []
        if ready := not self._ready and not not_ready(snapshot):
            lines.append("READY=1")
        if stopping := not self._stopping and snapshot.phase in (Phase.DRAINING, Phase.SPOOLING):
            lines.append("STOPPING=1")
        reason = unhealthy(snapshot, stalled) or ("" if self._ready else not_ready(snapshot))
        status = f"{snapshot.ledger.summary}; {reason}" if reason else snapshot.ledger.summary
        if lines or (status != self._status and now >= self._status_at + _STATUS_INTERVAL):
            self._status, self._status_at = status, now
            lines.append(f"STATUS={status}")
        if self._watchdog is not None and stalled < max(self._watchdog / 2, _LONGEST_STEP):
            lines.append("WATCHDOG=1")
        if self._send(lines):
            self._ready |= ready
            self._stopping |= stopping

    def stopping(self, message: str) -> None:
        """Report that the run is shutting down."""
        if self._address and self._send(["STOPPING=1", f"STATUS={message}"]):
            self._stopping = True

    def _send(self, lines: list[str]) -> bool:
        """Send a message; returns whether it was received."""
        if not lines:
            return True
        # An address that begins with @ is in Linux' abstract namespace, which a zero byte marks.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                text = "\n".join(line.replace("\n", " ") for line in lines)
                sender.sendto(text.encode(errors="replace"), address)
        except OSError as error:
            _log.debug("the service manager at %s was not notified: %s", self._address, error)
            return False
        return True


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """The time without a notification after which systemd ends this process; None if it does not."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        seconds = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return None
    return seconds if seconds > 0 else None
