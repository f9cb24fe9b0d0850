"""The constituents of the S&P 500 from Wikipedia, with a cached and a bundled list as fallbacks."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import requests

from sp500tui.errors import SourceError
from sp500tui.logs.redaction import one_line, redact_url
from sp500tui.model import Constituent, IndexChange
from sp500tui.sources.proxy_errors import proxy_error_message
from sp500tui.sources.wikipedia.cache import (
    BUNDLED_DATE,
    CachedConstituents,
    bundled_constituents,
    header_value,
    read_cache,
    write_cache,
)
from sp500tui.sources.wikipedia.changes import ParsedChanges, parse_changes
from sp500tui.sources.wikipedia.table import ParsedPage, parse_page

_log = logging.getLogger(__name__)

_MAX_PAGE = 16 << 20
_CHUNK = 64 << 10
_MAX_UNREADABLE_ROWS = 5
"""Maximum number of unreadable rows, 1 % of the list, for which the page is preferred to the cached list."""
_MIN_SHARE = 0.98
"""Minimum length as a share of the last good list; the index has had 500 to 505 constituents."""
_MAX_NAMED = 5
_OK, _NOT_MODIFIED, _PROXY_LOGIN = 200, 304, 407
_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")


@dataclass(frozen=True, slots=True)
class ConstituentList:
    """A list of constituents and its origin."""

    constituents: tuple[Constituent, ...]
    origin: Literal["wikipedia", "cache", "bundled"]
    date: datetime
    """When Wikipedia last confirmed it, UTC; the month of the bundled list."""
    warning: str
    """Which list is used instead of Wikipedia's, its date and the reason, in one line; empty for Wikipedia's."""
    changes: tuple[IndexChange, ...] = ()
    """The changes on the same page, newest first; none with the bundled list."""
    previous: tuple[Constituent, ...] = ()
    """The last good list before this one; empty if there is none."""


@dataclass(frozen=True, slots=True)
class _Page:
    body: bytes
    etag: str
    last_modified: str


class Wikipedia:
    """Fetches the page of constituents with conditional requests. Not thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        cache_dir: Path,
        proxy: str | None,
        ca_file: Path | None,
        timeout: float,
        user_agent: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._url = url
        self._identity = _identity(url)
        self._cache_dir = cache_dir
        self._proxy = proxy
        self._ca_file = ca_file
        self._timeout = timeout
        self._user_agent = user_agent
        self._clock = clock
        self._host = one_line(urlsplit(url).hostname or url, 60)
        self._last: CachedConstituents | None = None
        """The last good list, used if the cache cannot be written."""

    def load(self) -> ConstituentList:
        """Load Wikipedia's list, or else the cached one, or else the bundled one; never fails."""
        lists = [each for each in (read_cache(self._cache_dir), self._last) if each is not None]
        cached = max(
            (each for each in lists if each.url == self._identity), key=lambda each: each.date, default=None
        )
        try:
            self._last = fresh = self._fresh(cached)
        except SourceError as error:
            return _fallback(cached, str(error))
        try:
            write_cache(self._cache_dir, fresh)
        except OSError as error:
            _log.warning("the list of constituents was not cached in %s: %s", self._cache_dir, error.strerror)
        previous = () if cached is None else cached.constituents
        return ConstituentList(
            fresh.constituents, "wikipedia", fresh.date, "", changes=fresh.changes or (), previous=previous
        )

    def _fresh(self, cached: CachedConstituents | None) -> CachedConstituents:
        # A cached list without the changes was written by an older version; it is replaced as a whole.
        page = self._request(None if cached is None or cached.changes is None else cached)
        now = self._clock()
        if page is None:
            if cached is None:
                raise SourceError("Wikipedia answered 304 Not Modified, but there is no cached list")
            return replace(cached, date=now)
        parsed = parse_page(page.body)
        known = bundled_constituents() if cached is None else cached.constituents
        _check_losses(parsed, known)
        changes = parse_changes(page.body)
        _report_unreadable_changes(changes)
        return CachedConstituents(
            self._identity,
            _with_known_ciks(parsed.constituents, known),
            now,
            page.etag,
            page.last_modified,
            _with_earlier(changes.changes, () if cached is None else cached.changes or ()),
        )

    def _request(self, cached: CachedConstituents | None) -> _Page | None:
        """Request the page; None if it has not changed since it was cached."""
        headers = {"User-Agent": self._user_agent, "Accept": "text/html"}
        if cached is not None and cached.etag:
            headers["If-None-Match"] = cached.etag
        elif cached is not None and cached.last_modified:
            headers["If-Modified-Since"] = cached.last_modified
        try:
            with requests.Session() as session:
                response = session.get(
                    self._url,
                    headers=headers,
                    timeout=self._timeout,
                    stream=True,
                    # Passed here because the environment overrides the session's.
                    proxies={"http": self._proxy, "https": self._proxy} if self._proxy else None,
                    verify=str(self._ca_file) if self._ca_file else True,
                )
                with response:
                    return self._page(response)
        except (requests.RequestException, OSError, ValueError, TypeError) as error:
            raise SourceError(self._failure_message(error)) from error

    def _page(self, response: requests.Response) -> _Page | None:
        if response.status_code == _NOT_MODIFIED:
            return None
        if response.status_code == _PROXY_LOGIN:
            raise SourceError(proxy_error_message(response.status_code, self._host))
        if response.status_code != _OK:
            raise SourceError(
                f"Wikipedia answered {response.status_code} {one_line(response.reason or '', 40)}".strip()
            )
        body = bytearray()
        deadline = time.monotonic() + 3 * self._timeout
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > _MAX_PAGE or time.monotonic() > deadline:
                raise SourceError("the page is too large or arrives too slowly")
        etag = header_value(response.headers, "ETag")
        return _Page(bytes(body), etag, header_value(response.headers, "Last-Modified"))

    def _failure_message(self, error: Exception) -> str:
        host = self._host
        if isinstance(error, requests.exceptions.ProxyError):
            if refused := _TUNNEL_REFUSED.search(str(error)):
                return proxy_error_message(int(refused[1]), host)
            return f"the proxy did not connect to {host}; check --proxy"
        if isinstance(error, requests.exceptions.SSLError):
            return f"the certificate of {host} is not trusted; behind a proxy give --ca-file or set SSL_CERT_FILE"
        if isinstance(error, requests.Timeout):
            return f"{host} did not answer within {self._timeout:g} s"
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return f"{host} closed the connection mid-response"
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return f"the compressed answer of {host} is damaged"
        if isinstance(error, requests.ConnectionError):
            return f"no connection to {host}; check the network, or give --proxy"
        if isinstance(error, (ValueError, TypeError)):
            # The latter for a proxy without a host, as in http://me:password@. The message may quote the proxy's
            # address including part of its password.
            return f"the address of {host} or its proxy cannot be used; correct --wikipedia-url, --proxy or HTTPS_PROXY"
        return f"{host} cannot be requested: {one_line(error)}"


def _identity(url: str) -> str:
    """The URL by which the cached list is recognized; its hash if it may contain a password."""
    return url if redact_url(url) == url else f"sha256:{hashlib.sha256(url.encode()).hexdigest()}"


def _check_losses(parsed: ParsedPage, known: Sequence[Constituent]) -> None:
    """Log unreadable rows, and reject a page with more than a few of them.

    Raises:
        SourceError: more than 5 rows cannot be read, or the list is more than 2 % shorter than the known one.
    """
    lost, usable = parsed.unreadable, len(parsed.constituents)
    names = ", ".join(repr(name) for name in lost[:_MAX_NAMED]) + (", …" if len(lost) > _MAX_NAMED else "")
    if len(lost) > _MAX_UNREADABLE_ROWS:
        raise SourceError(
            f"{len(lost)} of {usable + len(lost)} rows of Wikipedia's table cannot be read: {names}"
        )
    if usable < _MIN_SHARE * len(known):
        raise SourceError(f"Wikipedia's table has {usable} rows, but the last good list has {len(known)}")
    if lost:
        _log.warning(
            "%d of %d rows of Wikipedia's table cannot be read and are left out: %s",
            len(lost),
            usable + len(lost),
            names,
        )


def _with_known_ciks(
    constituents: Sequence[Constituent], known: Sequence[Constituent]
) -> tuple[Constituent, ...]:
    """The constituents, with the CIK of the last good list if the page has none.

    Otherwise a page without that column would end every membership and begin a new one.
    """
    ciks = {each.symbol: each.cik for each in known}
    return tuple(each if each.cik else replace(each, cik=ciks.get(each.symbol, "")) for each in constituents)


def _with_earlier(changes: Sequence[IndexChange], known: Sequence[IndexChange]) -> tuple[IndexChange, ...]:
    """The changes, and the older ones of the last good list: the page may have lost the end of its table."""
    oldest = min((each.effective_date for each in changes), default=date.max)
    listed = {(each.effective_date, each.added, each.removed) for each in changes}
    earlier = [
        each
        for each in known
        if each.effective_date <= oldest and (each.effective_date, each.added, each.removed) not in listed
    ]
    return (*changes, *earlier)


def _report_unreadable_changes(parsed: ParsedChanges) -> None:
    """Log missing or unreadable changes; the list of constituents does not depend on them."""
    if not parsed.changes:
        _log.info("Wikipedia's page has no table of changes; the members of earlier days are not known")
    elif parsed.unreadable:
        names = ", ".join(repr(row) for row in parsed.unreadable[:_MAX_NAMED])
        _log.warning(
            "%d rows of Wikipedia's table of changes cannot be read and are left out: %s",
            len(parsed.unreadable),
            names,
        )


def _fallback(cached: CachedConstituents | None, reason: str) -> ConstituentList:
    if cached is not None:
        which = f"the last good list, of {cached.date:%Y-%m-%d %H:%M} UTC"
        warning = f"using {which}, because {reason}"
        return ConstituentList(
            cached.constituents, "cache", cached.date, warning, changes=cached.changes or ()
        )
    which = f"the list that comes with sp500tui, of {BUNDLED_DATE:%B %Y}"
    return ConstituentList(
        bundled_constituents(), "bundled", BUNDLED_DATE, f"using {which}, because {reason}"
    )
