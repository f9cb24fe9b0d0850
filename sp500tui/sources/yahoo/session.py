"""The HTTP session under yfinance: throttles every request, limits its time and checks its response.

Importing this module loads curl_cffi, so `YahooFinance.open` imports it late.
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

from sp500tui.errors import ChartRefusedError, SourceError, ThrottledError
from sp500tui.logs.redaction import one_line
from sp500tui.sources.proxy_errors import proxy_error_message
from sp500tui.sources.request_phase import OnPhase, RequestPhase, ignore_phase
from sp500tui.sources.throttle import Throttle, parse_retry_after
from sp500tui.sources.yahoo.charts import CHART_PATH, chart_refusal
from sp500tui.sources.yahoo.json_values import error_message, error_text, read_json

COOKIE_HOST = "fc.yahoo.com"
"""Host that sets the cookie, with a 404. Some block lists contain it, for which yfinance has a fallback."""

_CRUMB_PATH = "/v1/test/getcrumb"
_CRUMB = re.compile(rb"[\x21-\x3b\x3d\x3f-\x7a\x7c\x7e]{4,64}")
_NO_CRUMB = b"<html>"
"""The only body that yfinance recognizes as a missing crumb; it would use any other body as the crumb."""
_MAX_BODY = 32 << 20
_MAX_REQUESTS = 12
"""Requests of one query, including redirects. A consent page takes nine or ten."""
_MAX_REDIRECTS = 5
_MAX_CONSENTS = 1
"""Consent forms sent for one query; a second one means that Yahoo did not accept the first."""
_TUNNEL_REFUSED = re.compile(r"CONNECT tunnel failed, response (\d{3})|HTTP code (\d{3}) from proxy")
_CURL_TEXT = re.compile(r"(?s)Failed to perform, curl: \(\d+\) (.*?)\.? See https://curl\.se/.*")
_UNREADABLE = frozenset(
    {
        CurlECode.BAD_CONTENT_ENCODING,
        CurlECode.FILESIZE_EXCEEDED,
        CurlECode.TOO_LARGE,
        CurlECode.UNSUPPORTED_PROTOCOL,
    }
)
"""Errors for answers that are damaged, too large, or not HTTP."""
_BUDGET_FACTOR = 3.0
"""Time limit of all requests of one query, as a multiple of the limit of one request."""
_TOO_MANY, _UNAVAILABLE, _DENIED = 429, 503, 999
"""Yahoo's edge servers answer 999 to an address that they block temporarily."""
_FORBIDDEN = 403
_PROXY_LOGIN = 407
_MAX_REFUSAL_LENGTH = 4096
"""Bytes at the start of a body that are searched for a refusal."""
_TOO_MANY_PATTERN = re.compile(r"(?i)too[\s+_-]*many[\s+_-]*requests|rate[\s_-]*limit")
_BLOCKED_PATTERN = re.compile(
    r"(?i)(access|request|permission)\b.{0,40}\bdenied|unusual traffic|automated (queries|requests|access)|captcha"
)
_CONSENT_HOST = "consent.yahoo.com"
REFUSED = frozenset({401, 403})
"""Status codes after which yfinance fetches a new cookie and crumb."""


@dataclass(slots=True)
class RequestBudget:
    """The requests and the time that the current query of a thread has left."""

    requests: int = 0
    until: float = 0.0
    consents: int = _MAX_CONSENTS
    seconds: float = 0.0
    """Duration of the last request."""
    on_phase: OnPhase = ignore_phase


class ThrottledSession(Session[Response]):
    """A throttled curl_cffi session with a browser's TLS fingerprint. Certificates are always verified."""

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
            # Every request uses the proxy; NO_PROXY in the environment is ignored.
            options[CurlOpt.NOPROXY] = ""
        trusted: Any = ca_file or True  # the annotation of curl_cffi lacks the file
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
        """Set if the crumb may be the cause of a refused request."""

    def start_query(self, on_phase: OnPhase = ignore_phase) -> None:
        """Start a query on this thread, with a budget of 12 requests and three times the time limit."""
        until = self._monotonic() + _BUDGET_FACTOR * self._timeout
        self._budgets.own = RequestBudget(_MAX_REQUESTS, until, on_phase=on_phase)

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Response:
        """Send one request when the throttle allows it; every redirect counts as a request.

        Raises:
            ThrottledError: the throttle is closed, or the response throttles requests.
            SourceError: there is no response, or one for which a retry by yfinance would not help.
        """
        budget: RequestBudget = getattr(self._budgets, "own", None) or RequestBudget()
        host = urlsplit(url).hostname or url
        left = budget.until - self._monotonic()
        if left <= 0:
            raise SourceError(
                f"Yahoo Finance did not answer the query within {_BUDGET_FACTOR * self._timeout:g} s ({host})"
            )
        if budget.requests <= 0:
            raise SourceError(f"Yahoo Finance refuses every cookie and crumb ({host}); try again later")
        if method == "POST" and is_consent(url):
            if not budget.consents:
                raise self.consent_refused()
            budget.consents -= 1
        budget.on_phase(RequestPhase.LIMIT)
        try:
            self._throttle.acquire(left, self._cancelled)
        finally:
            budget.on_phase(RequestPhase.ANSWER)
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
                # The only error on which yfinance falls back to another way of getting its cookie.
                raise curl.DNSError(str(error)) from error
            raise SourceError(
                connection_error_message(error, host, self._timeout, proxied=self._proxied)
            ) from error
        finally:
            budget.seconds = self._monotonic() - started
        self._charge(budget, response.redirect_count)
        return self._check_response(response, host, urlsplit(url).path)

    def seconds(self) -> float:
        """Duration of the last request of this thread, without the wait for the throttle."""
        budget: RequestBudget | None = getattr(self._budgets, "own", None)
        return budget.seconds if budget else 0.0

    def consent_refused(self) -> ThrottledError:
        """Throttle because Yahoo requires consent again after it was given; returns the error to raise."""
        self.crumb_suspect = True
        return self._throttle_error(None, "Yahoo Finance requires cookie consent again after it was given")

    def _charge(self, budget: RequestBudget, redirects: int) -> None:
        budget.requests -= redirects
        self._throttle.charge(redirects)

    def _throttle_error(self, retry_after: float | None, reason: str) -> ThrottledError:
        self._throttle.throttled(retry_after, reason)
        wait = self._throttle.state().retry_in or 0.0
        return ThrottledError(f"{reason}; next attempt in {wait:.0f} s", wait, by_source=True)

    def _check_response(self, response: Response, host: str, path: str) -> Response:
        status = response.status_code
        retry_after = parse_retry_after(response.headers.get("Retry-After"), self._now())
        crumb = path == _CRUMB_PATH
        if status == _PROXY_LOGIN:
            raise SourceError(f"Yahoo Finance: {proxy_error_message(status, host)}")
        if is_throttling(status, retry_after, response.content):
            # A throttled request does not invalidate its crumb, and a new crumb would cost requests.
            self.crumb_suspect |= crumb
            raise self._throttle_error(retry_after, f"Yahoo Finance limits the request rate ({status})")
        if host == COOKIE_HOST:
            return response
        if status in REFUSED:
            self.crumb_suspect = True
        elif status >= 400:
            raise http_error(response, host, path)
        if crumb and (status != 200 or not _CRUMB.fullmatch(response.content)):
            self.crumb_suspect = True
            response.content = _NO_CRUMB
        return response


def is_consent(url: str) -> bool:
    """Whether the URL is a cookie consent page of Yahoo."""
    host = urlsplit(url).hostname or ""
    return host == _CONSENT_HOST or host.endswith(f".{_CONSENT_HOST}")


def is_throttling(status: int, retry_after: float | None, body: bytes) -> bool:
    """Whether a response throttles requests, by its status or its text.

    Yahoo uses status 429 or 999, 503 with `Retry-After`, and a text, web page or JSON error with any other
    status, including 200.
    """
    if status in (_TOO_MANY, _DENIED) or (status == _UNAVAILABLE and retry_after is not None):
        return True
    start = body[:_MAX_REFUSAL_LENGTH].decode("utf-8", "replace")
    blocked = status == _FORBIDDEN and _BLOCKED_PATTERN.search(start) is not None
    if not blocked and not _TOO_MANY_PATTERN.search(start):
        return False
    if not start.lstrip().startswith(("{", "[")):
        return True
    # The text may be part of a company's name: in JSON only the error messages count.
    try:
        text = error_text(read_json(body))
    except SourceError:
        return False
    return _TOO_MANY_PATTERN.search(text) is not None or (
        blocked and _BLOCKED_PATTERN.search(text) is not None
    )


def http_error(response: Response, host: str, path: str) -> SourceError:
    """The error for a status of 400 or above: a refused chart is not a failure of the service."""
    message = http_error_message(response, host)
    if path.startswith(CHART_PATH):
        try:
            refusal = chart_refusal(response.status_code, read_json(response.content))
        except SourceError:
            refusal = None
        if refusal is not None:
            return ChartRefusedError(message, *refusal)
    return SourceError(message)


def http_error_message(response: Response, host: str) -> str:
    """The error message for a status of 400 or above, in one line."""
    try:
        why = error_message(read_json(response.content))
    except SourceError:
        why = ""
    return f"Yahoo Finance answered {response.status_code} ({host}){': ' + why if why else ''}"


def _proxy_status(error: curl.RequestException) -> int | None:
    """The status with which the proxy refused the tunnel; None for other errors."""
    found = _TUNNEL_REFUSED.search(str(error))
    return int(found[1] or found[2]) if found else None


def connection_error_message(
    error: curl.RequestException, host: str, timeout: float, *, proxied: bool = False
) -> str:
    """Why there was no response, and the remedy, in one line; `proxied`: whether a proxy is configured."""
    status = _proxy_status(error)
    if status is not None:
        return f"Yahoo Finance: {proxy_error_message(status, host)}"
    if isinstance(error, curl.TooManyRedirects):
        return f"Yahoo Finance redirects in a loop ({host}); try again later"
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
        return f"Yahoo Finance closed the connection mid-response ({host})"
    if isinstance(error, curl.ConnectionError):
        return f"Yahoo Finance: no connection to {host}; check the network, or give --proxy"
    if error.code in _UNREADABLE:
        return f"Yahoo Finance: the answer of {host} cannot be read ({_curl_reason(error)}); try again later"
    return f"Yahoo Finance: no answer from {host}: {_curl_reason(error)}"


def _curl_reason(error: curl.RequestException) -> str:
    """The message of curl without its function and documentation URL."""
    found = _CURL_TEXT.fullmatch(str(error))
    return one_line(found[1] if found else error)
