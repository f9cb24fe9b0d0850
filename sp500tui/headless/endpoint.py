"""The HTTP endpoint of a run: `/metrics` for Prometheus, `/healthz` and `/readyz` for monitors."""

from __future__ import annotations

import errno
import io
import logging
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from sp500tui.config.addresses import split_address
from sp500tui.errors import ConfigurationError
from sp500tui.headless.health import not_ready, unhealthy
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.runtime.self_pipe import SelfPipe

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sp500tui.headless.metrics import MeasuredRun

_log = logging.getLogger(__name__)
_PATHS = "/metrics, /healthz and /readyz"
_RETRY = 0.2
"""Seconds to wait after a connection could not be accepted."""


class Endpoint:
    """Listens once it is constructed; until `run` is set it describes a run that is starting.

    Raises:
        ConfigurationError: the address cannot be used, or the package prometheus-client is missing.
    """

    def __init__(self, address: str) -> None:
        self.run: MeasuredRun | None = None
        """The run to describe."""
        self._metrics = _metrics_app(lambda: self.run)
        self._server = _listen(address, self._answer)
        self._server.timeout = 0
        self._stop_pipe = SelfPipe()
        self._thread = ServiceThread("metrics", self._serve)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Answer requests, each on its own thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and close the port; idempotent."""
        self._thread.stop()
        self._stop_pipe.notify()
        if self._thread.started:
            self._thread.join()
        self._server.server_close()
        self._stop_pipe.close()

    def _serve(self) -> float:
        # Unlike serve_forever, this sleeps until there is a connection.
        select.select([self._server.fileno(), self._stop_pipe.fileno()], [], [])
        self._server.handle_request()
        return 0.0

    def _answer(self, environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body = self._respond_to(environment, start_response)
        except Exception as error:  # noqa: BLE001  # of the pipeline; the base class would print a traceback
            _log.error("metrics: the pipeline could not be read: %s", error, exc_info=error)
            text = "the pipeline could not be read; its log has the reason"
            body = _respond(start_response, "500 Internal Server Error", text)
        return () if environment.get("REQUEST_METHOD") == "HEAD" else body

    def _respond_to(self, environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "/")
        if environment.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _respond(start_response, "405 Method Not Allowed", "only GET and HEAD")
        if path == "/metrics":
            return self._describe(environment, start_response)
        if path in ("/healthz", "/readyz"):
            reason = self._reason(path)
            return _respond(start_response, "503 Service Unavailable" if reason else "200 OK", reason or "ok")
        if path == "/":
            return _respond(start_response, "200 OK", f"sp500tui: {_PATHS}")
        return _respond(start_response, "404 Not Found", f"available: {_PATHS}")

    def _describe(self, environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """All metrics: a choice by `name[]` needs a registry that knows the names before a scrape."""
        answers: list[tuple[str, list[tuple[str, str]]]] = []

        def keep(
            status: str, headers: list[tuple[str, str]], _error: object = None
        ) -> Callable[[bytes], object]:
            answers.append((status, headers))
            return lambda _: None

        request = {**environment, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
        body = b"".join(self._metrics(request, keep))
        ((status, headers),) = answers
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _reason(self, path: str) -> str:
        run = self.run
        if run is None:
            return "" if path == "/healthz" else "the pipeline is starting"
        snapshot = run.snapshot()
        return unhealthy(snapshot, run.stalled) if path == "/healthz" else not_ready(snapshot)


def _respond(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    body = f"{text}\n".encode(errors="replace")
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


class _Server(ThreadingMixIn, WSGIServer):
    """One daemon thread per connection, so that a client that stops reading delays no other."""

    daemon_threads = True
    request_queue_size = 128
    # An address in use is an error even if the other program allows sharing it.
    allow_reuse_port = False

    def server_bind(self) -> None:
        """Bind the address; the base class would query a name server for the host name."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection. After a failure it may still be pending, such as while no descriptor is free."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_RETRY)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # the base class calls it
        """Log a broken connection; the base class would print a traceback."""
        _log.debug("metrics: the connection of %s broke", client_address, exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10
    """Seconds a client may be silent."""

    def address_string(self) -> str:
        """The client's address; the base class could query a name server."""
        return str(self.client_address[0])

    def get_stderr(self) -> io.StringIO:
        """Discards the traceback that the base class writes for a broken connection."""
        return io.StringIO()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the base class
        """Log nothing: a scrape every few seconds would fill the log."""


def _listen(address: str, app: WSGIApplication) -> _Server:
    host, port = split_address(address)
    try:
        server = (_Server6 if ":" in host else _Server)((host, port), _Handler)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        in_use = getattr(error, "errno", None) == errno.EADDRINUSE
        remedy = "choose another, or end the program that listens there" if in_use else "choose another"
        raise ConfigurationError(f"--metrics {address} cannot be used: {reason}; {remedy}") from None
    server.set_app(app)
    return server


def _metrics_app(current: Callable[[], MeasuredRun | None]) -> WSGIApplication:
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
    except ImportError:
        raise ConfigurationError(
            "--metrics needs the package prometheus-client: install sp500tui[metrics]"
        ) from None
    from sp500tui.headless.metrics import RunCollector

    registry = CollectorRegistry()
    registry.register(RunCollector(current))
    ProcessCollector(registry=registry)
    app: WSGIApplication = make_wsgi_app(registry)
    return app


@contextmanager
def serving(address: str) -> Iterator[Endpoint]:
    """An endpoint that answers inside the block.

    Raises:
        ConfigurationError: see `Endpoint`.
    """
    endpoint = Endpoint(address)
    endpoint.start()
    _log.info("metrics are served on http://%s/metrics", address)
    try:
        yield endpoint
    finally:
        endpoint.close()
