"""The HTTP session under yfinance: every single request passes the throttle, has a time limit and is judged.

Importing this module loads curl_cffi; `yahoo.py` does so only when it opens.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from curl_cffi import CurlOpt
from curl_cffi.requests import Response, Session
from curl_cffi.requests import exceptions as curl

from sp500tui.domain import SourceError, ThrottledError
from sp500tui.sources.backoff import parse_retry_after
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.wording import one_line
from sp500tui.sources.yahoo_json import error_words, read_json

COOKIE_HOST = "fc.yahoo.com"
"""Hands out the cookie with a 404; some block lists name it, and yfinance has a way round."""

_CRUMB_PATH = "/v1/test/getcrumb"
_CRUMB = re.compile(rb"[\x21-\x3b\x3d\x3f-\x7a\x7c\x7e]{4,64}")
_NO_CRUMB = b"<html>"
"""The one body that yfinance takes for "no crumb"; it would send any other refusal along as if it were one."""
_LARGEST_BODY = 32 << 20
_MOST_REQUESTS = 10
"""The way through a consent page takes eight; a source that refuses everything ends here."""
_PATIENCE = 3.0
"""Times the limit of one request that all requests of one question may take together."""
_TOO_MANY, _UNAVAILABLE = 429, 503
_REFUSED = frozenset({401, 403})
"""What yfinance answers with a new cookie and crumb."""


@dataclass(slots=True)
class _Allowance:
    """What is left for the question under way on this thread."""

    requests: int = 0
    until: float = 0.0


class GatedSession(Session[Response]):
    """curl_cffi's session with a browser's TLS fingerprint, behind the throttle. Verification is always on."""

    def __init__(
        self,
        throttle: Throttle,
        *,
        timeout: float,
        cancelled: Callable[[], bool],
        now: Callable[[], datetime],
        proxy: str | None,
        ca_file: str | None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        options: dict[CurlOpt, Any] = {CurlOpt.MAXFILESIZE_LARGE: _LARGEST_BODY}
        if proxy:
            # What is asked for goes through the proxy, whatever NO_PROXY in the environment exempts.
            options[CurlOpt.NOPROXY] = ""
        trusted: Any = ca_file or True  # the annotation of curl_cffi forgets the file
        super().__init__(
            impersonate="chrome",
            proxies={"http": proxy, "https": proxy} if proxy else None,
            verify=trusted,
            timeout=timeout,
            max_redirects=8,
            curl_options=options,
        )
        self._throttle = throttle
        self._limit = timeout
        self._cancelled = cancelled
        self._now = now
        self._ticks = ticks
        self._allowances = threading.local()
        self.crumb_doubtful = False
        """Set when the crumb in use may be why a request was refused."""

    def begin(self) -> None:
        """A new question begins on this thread: up to ten requests, three times the time limit together."""
        self._allowances.own = _Allowance(_MOST_REQUESTS, self._ticks() + _PATIENCE * self._limit)

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Response:
        """Send one request when the throttle lets it through.

        Raises:
            ThrottledError: not now, or the answer was a 429.
            SourceError: no answer, or one that no repetition by yfinance would better.
        """
        allowance: _Allowance = getattr(self._allowances, "own", None) or _Allowance()
        host = urlsplit(url).hostname or url
        left = allowance.until - self._ticks()
        if left <= 0:
            raise SourceError(
                f"Yahoo Finance did not come to an answer within {_PATIENCE * self._limit:g} s ({host})"
            )
        if allowance.requests <= 0:
            raise SourceError(f"Yahoo Finance refuses every cookie and crumb ({host}); try again later")
        self._throttle.acquire(left, self._cancelled)
        allowance.requests -= 1
        kwargs["timeout"] = min(self._limit, max(0.1, allowance.until - self._ticks()))
        try:
            response: Response = super().request(method, url, *args, **kwargs)
        except curl.RequestException as error:
            if host == COOKIE_HOST:
                raise
            raise SourceError(failure_words(error, host, self._limit)) from error
        return self._judged(response, host, urlsplit(url).path)

    def _judged(self, response: Response, host: str, path: str) -> Response:
        status = response.status_code
        retry_after = parse_retry_after(response.headers.get("Retry-After"), self._now())
        crumb = path == _CRUMB_PATH
        if (
            status == _TOO_MANY
            or (status == _UNAVAILABLE and retry_after is not None)
            or (crumb and b"Too Many Requests" in response.content[:4096])
        ):
            # A refused question says nothing against the crumb it came with; a new one would cost requests.
            self.crumb_doubtful |= crumb
            self._throttle.throttled(retry_after)
            wait = self._throttle.state().retry_in or 0.0
            raise ThrottledError(
                f"Yahoo Finance asked for fewer requests ({status}); next attempt in {wait:.0f} s", wait
            )
        if host == COOKIE_HOST:
            return response
        if status in _REFUSED:
            self.crumb_doubtful = True
        elif status >= 400:
            raise SourceError(refusal_words(response, host))
        if crumb and (status != 200 or not _CRUMB.fullmatch(response.content)):
            self.crumb_doubtful = True
            response.content = _NO_CRUMB
        return response


def refusal_words(response: Response, host: str) -> str:
    """What a status of 400 or above says, one line."""
    try:
        why = error_words(read_json(response.content))
    except SourceError:
        why = ""
    return f"Yahoo Finance answered {response.status_code} ({host}){': ' + why if why else ''}"


def failure_words(error: curl.RequestException, host: str, timeout: float) -> str:
    """Why there was no answer and what may help, one line."""
    if isinstance(error, curl.Timeout):
        return (
            f"Yahoo Finance did not answer within {timeout:g} s ({host}); check the network, or give --proxy"
        )
    if isinstance(error, curl.DNSError):
        return f"Yahoo Finance: no address for {host}; check the network, or give --proxy"
    if isinstance(error, curl.ProxyError):
        return f"Yahoo Finance: the proxy did not connect to {host}; check --proxy"
    if isinstance(error, curl.SSLError):
        return f"Yahoo Finance: the certificate of {host} is not trusted; behind a proxy give --ca-file"
    if isinstance(error, curl.IncompleteRead):
        return f"Yahoo Finance broke off in the middle of an answer ({host})"
    if isinstance(error, curl.ConnectionError):
        return f"Yahoo Finance: no connection to {host}; check the network, or give --proxy"
    return f"Yahoo Finance: no answer from {host}: {one_line(error)}"
