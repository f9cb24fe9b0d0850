"""A proxy that refuses is named as the cause, with the remedy, by both sources."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import SourceError
from sp500tui.pipeline.runtime.sources import Sources
from sp500tui.simulator.process import DemoMarket
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.wikipedia.client import Wikipedia
from sp500tui.sources.yahoo.client import YahooFinance

LOG_IN = "the proxy refused the log-in (407); give a valid user and password in the URL of --proxy"


@contextmanager
def refusing_proxy(status: int, reason: str) -> Iterator[str]:
    """A proxy that answers every request with this status; its address with a user and a password."""

    class Refusal(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            challenge = 'Proxy-Authenticate: Basic realm="x"\r\n' if status == 407 else ""
            body = "<html>Access Denied</html>"
            self.wfile.write(
                f"HTTP/1.1 {status} {reason}\r\n{challenge}Content-Length: {len(body)}\r\n"
                f"Connection: close\r\n\r\n{body}".encode()
            )

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusal)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://me:hush-hush@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def yahoo_failure(proxy: str, tmp_path: Path, symbols: list[str] | None = None) -> str:
    yahoo = YahooFinance(Throttle(100), proxy=proxy, ca_file=None, timeout=30, cache_dir=tmp_path)
    try:
        with pytest.raises(SourceError) as caught:
            yahoo.fetch(symbols or ["AAPL"])
    finally:
        yahoo.close()
    return str(caught.value)


def wikipedia_failure(proxy: str, tmp_path: Path, scheme: str = "https") -> str:
    url = f"{scheme}://en.wikipedia.org/wiki/List"
    source = Wikipedia(url, cache_dir=tmp_path, proxy=proxy, ca_file=None, timeout=30, user_agent="test")
    return source.load().warning


REFUSALS = [
    (407, "Proxy Authentication Required", LOG_IN),
    (403, "Forbidden", "the proxy refused to connect to {host} (403); ask for access"),
    (405, "Method Not Allowed", "the proxy refused to connect to {host} (405)"),
    (502, "Bad Gateway", "the proxy could not reach {host} (502); check the proxy"),
    (503, "Service Unavailable", "the proxy could not reach {host} (503); check the proxy"),
    (504, "Gateway Timeout", "the proxy could not reach {host} (504); check the proxy"),
]


@pytest.mark.parametrize(("status", "reason", "words"), REFUSALS)
def test_a_refused_tunnel_is_reported_for_both_sources(
    tmp_path: Path, status: int, reason: str, words: str
) -> None:
    with refusing_proxy(status, reason) as proxy:
        yahoo = yahoo_failure(proxy, tmp_path)
        wikipedia = wikipedia_failure(proxy, tmp_path)
    host = "guce.yahoo.com" if "{host}" in words else ""
    assert f"Yahoo Finance: {words.format(host=host)}" in yahoo
    assert f"because {words.format(host='en.wikipedia.org')}" in wikipedia
    assert "hush" not in yahoo + wikipedia


def test_a_refused_plain_request_is_reported_too(tmp_path: Path) -> None:
    with refusing_proxy(407, "Proxy Authentication Required") as proxy:
        warning = wikipedia_failure(proxy, tmp_path, scheme="http")
    assert LOG_IN in warning
    assert "hush" not in warning


def test_the_environment_s_proxy_is_named_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing_proxy(407, "Proxy Authentication Required") as proxy:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yahoo = YahooFinance(Throttle(100), proxy=None, ca_file=None, timeout=30, cache_dir=tmp_path)
        with pytest.raises(SourceError, match="the proxy refused the log-in"):
            yahoo.fetch(["AAPL"])
        yahoo.close()
        source = Wikipedia(
            "https://en.wikipedia.org/wiki/List",
            cache_dir=tmp_path,
            proxy=None,
            ca_file=None,
            timeout=30,
            user_agent="test",
        )
        assert LOG_IN in source.load().warning


def test_an_unreachable_proxy_is_named(tmp_path: Path) -> None:
    with refusing_proxy(407, "closed soon") as proxy:
        pass
    yahoo = yahoo_failure(proxy, tmp_path)
    assert "the proxy did not connect to guce.yahoo.com; check --proxy" in yahoo
    assert "the proxy did not connect to en.wikipedia.org; check --proxy" in wikipedia_failure(
        proxy, tmp_path
    )


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_every_variable_of_authorities_works_for_both_sources(
    demo_market: DemoMarket, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given that only this variable has the authority of the proxy's certificates
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(
        name, str(demo_market.ca_file.parent if name == "SSL_CERT_DIR" else demo_market.ca_file)
    )
    settings = Settings(proxy=demo_market.proxy_url, data_dir=tmp_path)
    # when both sources are read
    sources = Sources.open(settings, Paths.of(settings), Throttle(100))
    try:
        listed = sources.wikipedia.load()
        quotes = sources.yahoo.fetch(["AAPL"]).quotes
    finally:
        sources.close()
    # then both trust it
    assert (listed.origin, listed.warning) == ("wikipedia", "")
    assert len(quotes) == 1
