"""The demo market as a child process: start, control and stop."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlsplit

from sp500tui.closable import Closable
from sp500tui.config.child_processes import error_file, python_command, python_environment
from sp500tui.errors import SourceError, resource_remedy
from sp500tui.simulator.faults import TOKEN_HEADER, Faults

START_TIMEOUT = 20.0
"""Seconds a start may take on a busy machine; usually under one second."""
_STOP_TIMEOUT = 3.0
_CONTROL_TIMEOUT = 5.0
_TLS_ENVIRONMENT = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull, "SSLKEYLOGFILE": ""}
"""The child makes no requests, so it skips loading the system's certificates, a quarter of its start-up time.
A key log file that cannot be written would keep it from starting."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """The addresses that the child reports once it listens."""

    proxy_url: str
    control_url: str
    ca_file: str
    token: str
    pid: int


class DemoMarket(Closable):
    """A running demo market. It ends with `stop`, or when this process exits."""

    def __init__(self, process: subprocess.Popen[bytes], ready: _Ready, folder: Path | None) -> None:
        self.proxy_url = ready.proxy_url
        """For the settings `proxy` or `HTTPS_PROXY`: `http://127.0.0.1:PORT`."""
        self.control_url = ready.control_url
        """Address of the control endpoint."""
        self.token = ready.token
        """Token of the control endpoint."""
        self.ca_file = Path(ready.ca_file)
        """PEM file with the CA certificate only, which clients must trust."""
        self.pid = ready.pid
        self._process = process
        self._folder = folder

    @classmethod
    def start(
        cls,
        *,
        port: int = 0,
        speed: float = 1.0,
        seed: int | None = None,
        ledger: Path | None = None,
        latency: float = 0.0,
        ca_dir: Path | None = None,
        start_at: str | None = None,
        extra_symbols: int = 0,
        faults: Mapping[str, object] | None = None,
        timeout: float = START_TIMEOUT,
    ) -> Self:
        """Start it and wait until it listens, for at most `timeout` seconds.

        `latency` is in seconds, `start_at` a New York time such as `15:59`, and `faults` has the names and values of
        `Faults`.

        Raises:
            SourceError: it did not start; the message gives the reason.
        """
        command = python_command("sp500tui.simulator", "--child")
        command += [f"--port={port}", f"--speed={speed}", f"--latency={latency}"]
        command += [f"--extra-symbols={extra_symbols}", f"--faults={json.dumps(dict(faults or {}))}"]
        optional = {"seed": seed, "ledger": ledger, "ca-dir": ca_dir, "start-at": start_at}
        command += [f"--{name}={value}" for name, value in optional.items() if value is not None]
        with error_file() as errors:
            process = _started(command, errors)
            try:
                ready = _read_ready(process, timeout, errors)
            except BaseException:
                _stop(process)
                raise
        return cls(process, ready, Path(ready.ca_file).parent if ca_dir is None else None)

    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stop the process and remove its certificate; idempotent."""
        _stop(self._process)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def faults(self) -> dict[str, object]:
        """The active faults, by the names of `Faults`."""
        return self._control("GET", "/faults")

    def set_faults(self, **faults: object) -> None:
        """Set the active faults; those not named are off.

        Raises:
            ConfigurationError: a fault or a value is unknown.
            SourceError: the demo market does not answer.
        """
        self._control("POST", "/faults", Faults.parse(faults).as_json())

    def clear_faults(self) -> None:
        """Turn all faults off."""
        self.set_faults()

    def apply_event(self, kind: str, **terms: object) -> None:
        """Apply an event of a kind and with the parameters of `EVENTS`, such as a split.

        Raises:
            SourceError: the event is refused, or the demo market does not answer.
        """
        self._control("POST", "/events", {"kind": kind, **terms})

    def health(self) -> dict[str, object]:
        """The market's session, the next one, and its start: `next_change` in seconds since 1970."""
        return self._control("GET", "/health")

    def statistics(self) -> dict[str, object]:
        """Requests by endpoint, responses by status, injected faults and served quotes since the start."""
        return self._control("GET", "/statistics")

    def _control(self, method: str, path: str, body: object = None) -> dict[str, object]:
        import http.client

        address = urlsplit(self.control_url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=_CONTROL_TIMEOUT)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {TOKEN_HEADER: self.token})
            response = connection.getresponse()
            answer: dict[str, object] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(
                f"the demo market at {self.control_url} does not answer ({error}); start it again"
            ) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise SourceError(f"the demo market refused {method} {path}: {answer.get('error')}")
        return answer


def _started(command: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env=python_environment() | _TLS_ENVIRONMENT,
        )
    except OSError as error:
        remedy = resource_remedy(error) or "reinstall sp500tui"
        raise SourceError(
            f"the demo market did not start: {error.strerror} ({command[0]}); {remedy}"
        ) from error


def _read_ready(process: subprocess.Popen[bytes], timeout: float, errors: IO[bytes]) -> _Ready:
    line = _first_line(process, time.monotonic() + timeout)
    if line is None:
        raise SourceError(
            f"the demo market did not start within {timeout:g} s; close other programs and try again"
        )
    try:
        words = json.loads(line)
        if "error" in words:
            raise SourceError(f"the demo market did not start: {words['error']}")
        return _Ready(**words)
    except (ValueError, TypeError) as error:
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        raise SourceError(f"the demo market did not start: {lines[-1]}; reinstall sp500tui") from error


def _first_line(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """The first line of a process's stdout, shorter if the process ended early; None after the deadline."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            return None
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            break
        line += piece
    return line


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close its stdin, which stops it; kill it after a timeout."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
