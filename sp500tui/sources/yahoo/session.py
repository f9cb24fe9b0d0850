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

from curl_cffi import CurlECode, CurlOpt
from curl_cffi.requests import Response, Session
from curl_cffi.requests import exceptions as curl

from sp500tui.errors import SourceError, ThrottledError
from sp500tui.logs.redaction import one_line
from sp500tui.sources.proxy_errors import proxy_error_message
from sp500tui.sources.throttle import Throttle, parse_retry_after
from sp500tui.sources.yahoo.json_values import error_message, error_text, read_json

COOKIE_HOST = "fc.yahoo.com"
"""Hands out the cookie with a 404; some block lists name it, and yfinance has a way round."""

_CRUMB_PATH = "/v1/test/getcrumb"
_CRUMB = re.compile(rb"[\x21-\x3b\x3d\x3f-\x7a\x7c\x7e]{4,64}")
_NO_CRUMB = b"<html>"
"""The one body that yfinance takes for "no crumb"; it would send any other refusal along as if it were one."""
_MAX_BODY = 32 << 20
_MAX_REQUESTS = 12
"""Requests of one question, redirects included. The way through a consent page takes nine or ten."""
_MAX_REDIRECTS = 5
_MAX_CONSENTS = 1
"""Consent forms sent for one question; a second one means that Yahoo does not accept the first."""
_TUNNEL_REFUSED = re.compile(r"CONNECT tunnel failed, response (\d{3})|HTTP code (\d{3}) from proxy")
_BUDGET_FACTOR = 3.0
"""Times the limit of one request that all requests of one question may take together."""
_TOO_MANY, _UNAVAILABLE, _DENIED = 429, 503, 999
"""999 is what Yahoo's edge servers answer to an address that they block for a while."""
_FORBIDDEN = 403
_PROXY_LOGIN = 407
_MAX_REFUSAL_LENGTH = 4096
"""Bytes at the start of a body in which a refusal is looked for."""
_TOO_MANY_PATTERN = re.compile(r"(?i)too[\s+_-]*many[\s+_-]*requests|rate[\s_-]*limit")
_BLOCKED_PATTERN = re.compile(
    r"(?i)(access|request|permission)\b.{0,40}\bdenied|unusual traffic|automated (queries|requests|access)|captcha"
)
_CONSENT_HOST = "consent.yahoo.com"
_REFUSED = frozenset({401, 403})
"""What yfinance answers with a new cookie and crumb."""


@dataclass(slots=True)
class RequestBudget:
    """What is left for the question under way on this thread."""

    requests: int = 0
    until: float = 0.0
    consents: int = _MAX_CONSENTS
    seconds: float = 0.0
    """How long the last request took."""


class ThrottledSession(Session[Response]):
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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        options: dict[CurlOpt, Any] = {CurlOpt.MAXFILESIZE_LARGE: _MAX_BODY}
        if proxy:
            # What is asked for goes through the proxy, whatever NO_PROXY in the environment exempts.
            options[CurlOpt.NOPROXY] = ""
        trusted: Any = ca_file or True  # the annotation of curl_cffi forgets the file
        super().__init__(
            impersonate="chrome",
            proxies={"http": proxy, "https": proxy} if proxy else None,
            verify=trusted,
            timeout=timeout,
            max_redirects=_MAX_REDIRECTS,
            curl_options=options,
        )
        self._throttle = throttle
        self._proxied = proxy is not None
        self._timeout = timeout
        self._cancelled = cancelled
        self._now = now
        self._monotonic = monotonic
        self._budgets = threading.local()
        self.crumb_suspect = False
        """Set when the crumb in use may be why a request was refused."""

    def start_query(self) -> None:
        """Start a question on this thread: up to 12 requests, three times the time limit together."""
        self._budgets.own = RequestBudget(_MAX_REQUESTS, self._monotonic() + _BUDGET_FACTOR * self._timeout)

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Response:
        """Send one request when the throttle lets it through; every redirect counts as a request.

        Raises:
            ThrottledError: not now, or the answer asked for fewer requests.
            SourceError: no answer, or one that no repetition by yfinance would better.
        """
        budget: RequestBudget = getattr(self._budgets, "own", None) or RequestBudget()
        host = urlsplit(url).hostname or url
        left = budget.until - self._monotonic()
        if left <= 0:
            raise SourceError(
                f"Yahoo Finance did not come to an answer within {_BUDGET_FACTOR * self._timeout:g} s ({host})"
            )
        if budget.requests <= 0:
            raise SourceError(f"Yahoo Finance refuses every cookie and crumb ({host}); try again later")
        if method == "POST" and is_consent(url):
            if not budget.consents:
                raise self.consent_refused()
            budget.consents -= 1
        self._throttle.acquire(left, self._cancelled)
        budget.requests -= 1
        kwargs["timeout"] = min(self._timeout, max(0.1, budget.until - self._monotonic()))
        kwargs["max_redirects"] = redirects = min(_MAX_REDIRECTS, budget.requests)
        started = self._monotonic()
        try:
            response: Response = super().request(method, url, *args, **kwargs)
        except curl.RequestException as error:
            if isinstance(error, curl.TooManyRedirects):
                self._charge(budget, redirects)
            if host == COOKIE_HOST and _proxy_status(error) != _PROXY_LOGIN:
                # Of all errors, yfinance takes only this one as a reason to get its cookie in another way.
                raise curl.DNSError(str(error)) from error
            raise SourceError(
                connection_error_message(error, host, self._timeout, proxied=self._proxied)
            ) from error
        finally:
            budget.seconds = self._monotonic() - started
        self._charge(budget, response.redirect_count)
        return self._check_response(response, host, urlsplit(url).path)

    def seconds(self) -> float:
        """How long the last request of this thread's question took, without the wait for the throttle."""
        budget: RequestBudget | None = getattr(self._budgets, "own", None)
        return budget.seconds if budget else 0.0

    def consent_refused(self) -> ThrottledError:
        """Close the throttle because Yahoo asks for consent again after it was given; the error to raise."""
        self.crumb_suspect = True
        return self._throttle_error(None, "asks for cookie consent again after it was given")

    def _charge(self, budget: RequestBudget, redirects: int) -> None:
        budget.requests -= redirects
        self._throttle.charge(redirects)

    def _throttle_error(self, retry_after: float | None, reason: str) -> ThrottledError:
        self._throttle.throttled(retry_after, reason)
        wait = self._throttle.state().retry_in or 0.0
        return ThrottledError(f"Yahoo Finance {reason}; next attempt in {wait:.0f} s", wait, by_source=True)

    def _check_response(self, response: Response, host: str, path: str) -> Response:
        status = response.status_code
        retry_after = parse_retry_after(response.headers.get("Retry-After"), self._now())
        crumb = path == _CRUMB_PATH
        if status == _PROXY_LOGIN:
            raise SourceError(f"Yahoo Finance: {proxy_error_message(status, host)}")
        if is_throttling(status, retry_after, response.content):
            # A throttled request says nothing against its crumb, and a new crumb would cost requests.
            self.crumb_suspect |= crumb
            raise self._throttle_error(retry_after, f"asked for fewer requests ({status})")
        if host == COOKIE_HOST:
            return response
        if status in _REFUSED:
            self.crumb_suspect = True
        elif status >= 400:
            raise SourceError(http_error_message(response, host))
        if crumb and (status != 200 or not _CRUMB.fullmatch(response.content)):
            self.crumb_suspect = True
            response.content = _NO_CRUMB
        return response


def is_consent(url: str) -> bool:
    """Whether the address is one of Yahoo's pages that ask for consent to cookies."""
    host = urlsplit(url).hostname or ""
    return host == _CONSENT_HOST or host.endswith(f".{_CONSENT_HOST}")


def is_throttling(status: int, retry_after: float | None, body: bytes) -> bool:
    """Whether an answer asks for fewer requests, by its status or in text.

    Yahoo says so with status 429 or 999, with 503 and `Retry-After`, and as text, web page or JSON error with
    any other status, 200 included.
    """
    if status in (_TOO_MANY, _DENIED) or (status == _UNAVAILABLE and retry_after is not None):
        return True
    start = body[:_MAX_REFUSAL_LENGTH].decode("utf-8", "replace")
    blocked = status == _FORBIDDEN and _BLOCKED_PATTERN.search(start) is not None
    if not blocked and not _TOO_MANY_PATTERN.search(start):
        return False
    if not start.lstrip().startswith(("{", "[")):
        return True
    # The text may be part of a company's name: in JSON only those of the error count.
    try:
        text = error_text(read_json(body))
    except SourceError:
        return False
    return _TOO_MANY_PATTERN.search(text) is not None or (
        blocked and _BLOCKED_PATTERN.search(text) is not None
    )


def http_error_message(response: Response, host: str) -> str:
    """What a status of 400 or above says, one line."""
    try:
        why = error_message(read_json(response.content))
    except SourceError:
        why = ""
    return f"Yahoo Finance answered {response.status_code} ({host}){': ' + why if why else ''}"


def _proxy_status(error: curl.RequestException) -> int | None:
    """The status with which a proxy refused a tunnel; None for other errors."""
    found = _TUNNEL_REFUSED.search(str(error))
    return int(found[1] or found[2]) if found else None


def connection_error_message(
    error: curl.RequestException, host: str, timeout: float, *, proxied: bool = False
) -> str:
    """Why there was no answer and what may help, one line; `proxied`: whether a proxy was given."""
    status = _proxy_status(error)
    if status is not None:
        return f"Yahoo Finance: {proxy_error_message(status, host)}"
    if isinstance(error, curl.TooManyRedirects):
        return f"Yahoo Finance redirects in a circle ({host}); try again later"
    if isinstance(error, curl.Timeout):
        return (
            f"Yahoo Finance did not answer within {timeout:g} s ({host}); check the network, or give --proxy"
        )
    if isinstance(error, curl.DNSError):
        return f"Yahoo Finance: no address for {host}; check the network, or give --proxy"
    if isinstance(error, curl.ProxyError) or (proxied and error.code == CurlECode.COULDNT_CONNECT):
        return f"Yahoo Finance: the proxy did not connect to {host}; check --proxy"
    if isinstance(error, curl.SSLError):
        return (
            f"Yahoo Finance: the certificate of {host} is not trusted; "
            "behind a proxy give --ca-file or set SSL_CERT_FILE"
        )
    if isinstance(error, curl.IncompleteRead):
        return f"Yahoo Finance broke off in the middle of an answer ({host})"
    if isinstance(error, curl.ConnectionError):
        return f"Yahoo Finance: no connection to {host}; check the network, or give --proxy"
    return f"Yahoo Finance: no answer from {host}: {one_line(error)}"
