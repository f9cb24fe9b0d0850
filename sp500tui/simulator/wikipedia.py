"""The simulated Wikipedia: the page of constituents, and Wikimedia's rules for clients."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from urllib.parse import quote

from aiohttp import web

from sp500tui.simulator.faults import FaultSampler
from sp500tui.simulator.http.responses import HTML, TEXT, Answer, ResponseWriter
from sp500tui.simulator.market.index import PAST_CHANGES, Change, Index
from sp500tui.simulator.market.instruments import Listing
from sp500tui.simulator.stats import Statistics

_PATH = "/wiki/List_of_S&P_500_companies"
_ANONYMOUS = re.compile(
    r"\s*$|(python|curl|wget|java|go-http|okhttp|libwww|aiohttp|httpx)\b[^+@]*$", re.IGNORECASE
)
"""User-Agents that name a library and no contact."""
_FORBIDDEN = b"Please set a user-agent and respect our robot policy https://w.wiki/4wJS. See also T400119.\n"
_HEADERS = (
    '<a href="/wiki/Ticker_symbol" title="Ticker symbol">Symbol</a>\n',
    "Security",
    '<a href="/wiki/Global_Industry_Classification_Standard" title="GICS">GICS</a> Sector',
    "GICS Sub-Industry",
    "Headquarters Location",
    "Date added",
    '<a href="/wiki/Central_Index_Key" title="Central Index Key">CIK</a>',
    "Founded\n",
)


class Wikipedia:
    """Serves en.wikipedia.org."""

    def __init__(
        self,
        index: Index,
        sampler: FaultSampler,
        responses: ResponseWriter,
        statistics: Statistics,
    ) -> None:
        self._sampler = sampler
        self._responses = responses
        self._statistics = statistics
        self._index = index
        self._version = -1
        self._render()

    def _render(self) -> None:
        """Render the page if the index has changed."""
        if self._version == self._index.version:
            return
        self._version = self._index.version
        self._page = constituents_page(self._index.listings, self._index.changes).encode()
        self._etag = f'W/"{hashlib.blake2b(self._page, digest_size=8).hexdigest()}"'
        self._modified = format_datetime(datetime.now(UTC), usegmt=True)

    async def page(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any page: the list of constituents, or 404."""
        self._statistics.request("wikipedia")
        return await self._responses.send(request, lambda: self._answer(request))

    def _answer(self, request: web.BaseRequest) -> Answer:
        self._render()
        fault = self._sampler.choice("wikipedia")
        if fault == "forbidden" or _ANONYMOUS.match(request.headers.get("User-Agent", "")):
            return Answer(_FORBIDDEN, TEXT, 403)
        if fault == "down":
            return Answer(b"upstream connect error or disconnect/reset before headers\n", TEXT, 503)
        if request.path != _PATH:
            return Answer(b"<!DOCTYPE html>\n<title>Not found</title>\n", HTML, 404)
        if fault == "garbled":
            return Answer(
                self._page.replace(b'id="constituents"', b'id="moved"')[: len(self._page) // 3], HTML
            )
        validators = {
            "ETag": self._etag,
            "Last-Modified": self._modified,
            "Cache-Control": "private, s-maxage=0, max-age=0, must-revalidate",
        }
        if self._unchanged(request):
            return Answer(b"", HTML, 304, validators)
        return Answer(self._page, HTML, 200, validators)

    def _unchanged(self, request: web.BaseRequest) -> bool:
        known = request.headers.get("If-None-Match")
        if known is not None:
            return self._etag.removeprefix("W/") in known or known == "*"
        return request.headers.get("If-Modified-Since") == self._modified


def constituents_page(listings: Sequence[Listing], changes: Sequence[Change] = PAST_CHANGES) -> str:
    """The page with the structure of the real one: a table `constituents`, a table `changes`, links and footnotes."""
    rows = "".join(_row(listing, number) for number, listing in enumerate(listings))
    head = "".join(f"<th>{header}</th>\n" for header in _HEADERS)
    changed = "".join(_change(change, number) for number, change in enumerate(changes, 1))
    return f"""<!DOCTYPE html>
<html class="client-nojs" lang="en" dir="ltr">
<head><meta charset="UTF-8"><title>List of S&amp;P 500 companies - Wikipedia</title></head>
<body class="mediawiki ltr ns-0"><h1 id="firstHeading">List of S&amp;P 500 companies</h1>
<div id="mw-content-text"><p>The <b>S&amp;P 500</b> as the demo market lists it.</p>
<table class="wikitable"><tbody><tr><td>Invented prices; the companies are real.</td></tr></tbody></table>
<table class="wikitable sortable sticky-header" id="constituents">

<tbody><tr>
{head}</tr>
{rows}</tbody></table>
<h2 id="Selected_changes">Selected changes to the list</h2>
<table class="wikitable sortable" id="changes">

<tbody><tr>
<th data-sort-type="date" rowspan="2">Effective Date
</th>
<th colspan="2">Added
</th>
<th colspan="2">Removed
</th>
<th rowspan="2">Reason
</th></tr>
<tr>
<th>Ticker</th>
<th>Security</th>
<th>Ticker</th>
<th>Security
</th></tr>
{changed}</tbody></table>
</div></body></html>
"""


def _row(listing: Listing, number: int) -> str:
    market = (
        "https://www.nasdaq.com/market-activity/stocks/"
        if listing.nasdaq
        else "https://www.nyse.com/quote/XNYS:"
    )
    link = escape(market + (listing.symbol.lower() if listing.nasdaq else listing.symbol))
    footnote = _footnote(number) if number % 100 == 50 else ""
    return f"""<tr>
<td><a rel="nofollow" class="external text" href="{link}">{escape(listing.symbol)}</a>
</td>
<td>{_article(listing.name)}{footnote}</td>
<td>{escape(listing.sector)}</td>
<td>{escape(listing.sub_industry)}</td>
<td>{_article(listing.headquarters)}</td>
<td>{listing.date_added}</td>
<td>{listing.cik}</td>
<td>{escape(listing.founded)}
</td></tr>
"""


def _change(change: Change, number: int) -> str:
    return f"""<tr>
<td>{change.day:%B} {change.day.day}, {change.day.year}</td>
<td>{change.added}</td>
<td>{_article(change.added_name) if change.added_name else ""}</td>
<td>{change.removed}</td>
<td>{_article(change.removed_name) if change.removed_name else ""}</td>
<td>{change.reason}{_footnote(number)}
</td></tr>
"""


def _article(name: str) -> str:
    return f'<a href="/wiki/{quote(name.replace(" ", "_"))}" title="{escape(name)}">{escape(name)}</a>'


def _footnote(number: int) -> str:
    return (
        f'<sup id="cite_ref-{number}" class="reference"><a href="#cite_note-{number}">'
        f'<span class="cite-bracket">&#91;</span>{number}<span class="cite-bracket">&#93;</span></a></sup>'
    )
