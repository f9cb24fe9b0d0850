"""Yahoo Finance through yfinance's session: prices and rates in one request, charts, and the trading day."""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from sp500tui.config.paths import user_folder
from sp500tui.errors import ChartRefusedError, SourceError, ThrottledError, resource_remedy
from sp500tui.logs.redaction import one_line
from sp500tui.model import MarketState
from sp500tui.sources.request_phase import OnPhase, RequestPhase, ignore_phase
from sp500tui.sources.throttle import Throttle
from sp500tui.sources.yahoo.chart_limits import LIMITS, check_window
from sp500tui.sources.yahoo.charts import CHART_PATH, Chart, ChartRequest, parse_chart, refused
from sp500tui.sources.yahoo.json_values import read_chart, read_json
from sp500tui.sources.yahoo.parsing import FIELDS, FetchResult, parse_quotes
from sp500tui.sources.yahoo.symbols import fx_symbol, yahoo_symbol
from sp500tui.sources.yahoo.trading_calendar import TradingPeriods, parse_trading_periods

if TYPE_CHECKING:
    from sp500tui.sources.yahoo.session import ThrottledSession

_log = logging.getLogger(__name__)

_QUOTE_URL = "https://query1.finance.yahoo.com/v7/finance/quote"
_CHART_URL = f"https://query1.finance.yahoo.com{CHART_PATH}"
_EMPTY_RESPONSE: object = {"quoteResponse": {"result": []}}
_MAX_UNREQUESTED = 1000
"""Maximum number of unrequested symbols remembered as already logged."""
_MAX_STATES = 50
"""Maximum number of session names remembered as already logged; further ones are not logged."""
_YAHOO = ".yahoo.com"
_CACHE_PREFIX = "yfinance-"


class YahooFinance:
    """The only user of yfinance in a process; thread-safe. Heavy modules are imported by `open`."""

    def __init__(
        self,
        throttle: Throttle,
        *,
        proxy: str | None,
        ca_file: Path | None,
        timeout: float,
        cache_dir: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._throttle = throttle
        self._proxy = proxy
        self._ca_file = ca_file
        self._timeout = timeout
        self._cache_dir = cache_dir
        self._clock = clock
        self._opening = threading.Lock()
        self._closed = threading.Event()
        self._ending = threading.Event()
        """Set when requests must no longer wait for the throttle."""
        self._session: ThrottledSession | None = None
        self._data: Any = None
        """yfinance's `YfData`, one for the whole process."""
        self._remove_cache: Callable[[], object] = lambda: None
        self._reporting = threading.Lock()
        self._unrequested: set[str] = set()
        self._reported_states: set[str] = {state.value for state in MarketState} - {MarketState.UNKNOWN}

    def open(self) -> None:
        """Import yfinance and set the throttled session. Idempotent.

        Raises:
            SourceError: the cache folder cannot be used, or yfinance cannot be imported.
        """
        with self._opening:
            if self._data is not None:
                return
            cache = self._private_cache()
            from sp500tui.sources.yahoo.session import ThrottledSession

            _silence_loggers()
            # numpy's OpenBLAS starts a thread for each processor, which nothing here uses; if the system has no
            # thread left, it sends this process SIGINT.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
            try:
                with _importable_without_home(cache):
                    import yfinance
                    from yfinance import cache as yfinance_cache
                    from yfinance.data import YfData
            except ImportError as error:
                raise SourceError(
                    f"yfinance cannot be loaded: {one_line(error)}; reinstall sp500tui"
                ) from error
            warnings.filterwarnings("ignore", module=r"^yfinance")
            yfinance.set_tz_cache_location(str(cache))
            # Otherwise the cookies stay in the cache of an earlier instance in this process.
            yfinance_cache._CookieCacheManager._Cookie_cache = None
            self._session = ThrottledSession(
                self._throttle,
                timeout=self._timeout,
                cancelled=self._ending.is_set,
                now=self._clock,
                proxy=self._proxy,
                ca_file=str(self._ca_file) if self._ca_file else None,
            )
            data = YfData(session=self._session)
            with data._cookie_lock:
                data._crumb = data._cookie = None
                data._cookie_strategy = "basic"
            self._data = data

    def fetch(
        self,
        symbols: Sequence[str],
        fx_pairs: Sequence[tuple[str, str]] = (),
        on_phase: OnPhase = ignore_phase,
    ) -> FetchResult:
        """Fetch the prices of symbols (as listed) and the rates of currency pairs in one request.

        A pair without a usable rate is omitted from the result; a currency against itself is not requested. `on_phase`
        is called with the phases of the request and of those for cookies and crumbs before it.

        Raises:
            ThrottledError: the throttle is closed, or Yahoo throttles requests.
            SourceError: there is no response, or an invalid one.
        """
        pairs = [fx_symbol(base, target) for base, target in dict.fromkeys(fx_pairs) if base != target]
        requested = [*dict.fromkeys(yahoo_symbol(symbol) for symbol in symbols), *pairs]
        if not requested:
            return parse_quotes(_EMPTY_RESPONSE, (), fx_pairs, self._clock())
        params = {
            "symbols": ",".join(requested),
            "fields": ",".join(FIELDS),
            # Otherwise Yahoo omits overnight prices even if they are in the fields.
            "overnightPrice": "true",
            "formatted": "false",
            "lang": "en-US",
            "region": "US",
        }
        with self._answer(_QUOTE_URL, params, on_phase) as (body, seconds):
            result = parse_quotes(read_json(body), symbols, fx_pairs, self._clock())
            self._warn_unrequested(result.unrequested)
            self._report_new_states({quote.market_state for quote in result.quotes})
        return replace(result, seconds=seconds)

    def trading_periods(self, symbol: str = "AAPL") -> TradingPeriods:
        """Fetch the sessions of the exchange's current trading day, in one request.

        Raises:
            ThrottledError: the throttle is closed, or Yahoo throttles requests.
            SourceError: there is no response, or an invalid one.
        """
        params = {"range": "1d", "interval": "1d", "includePrePost": "false"}
        with self._answer(_chart_url(symbol), params) as (body, _):
            return parse_trading_periods(read_json(body))

    def chart(self, request: ChartRequest) -> Chart:
        """Fetch the bars, trading sessions and corporate actions of one symbol in one request.

        Raises:
            ChartRefusedError: the window exceeds the endpoint's limits, or Yahoo has no chart for this request.
            ThrottledError: the throttle is closed, or Yahoo throttles requests.
            SourceError: there is no response, or an invalid one.
        """
        check_window(request.resolution, request.start, request.end, self._clock())
        requested_as = LIMITS[request.resolution].requested_as
        # A merged bar needs all its parts, including those that start after the window.
        margin = request.resolution.width if requested_as is not request.resolution else timedelta(0)
        params = {
            "interval": requested_as.value,
            "period1": str(math.floor(request.start.timestamp())),
            "period2": str(math.ceil((request.end + margin).timestamp())),
            "includePrePost": "false",
            "events": "div,splits,capitalGains",
        }
        try:
            with self._answer(_chart_url(request.symbol), params) as (body, seconds):
                chart = parse_chart(read_chart(body), request, self._clock())
        except ChartRefusedError as error:
            raise refused(request, error.refusal, error.description) from error
        return replace(chart, seconds=seconds)

    def cancel_waits(self) -> None:
        """End the waits for the throttle with ThrottledError; requests that need not wait are still sent."""
        self._ending.set()

    def close(self) -> None:
        """Cancel waits for the throttle and remove the cookies; running requests end within their timeout."""
        self._closed.set()
        self._ending.set()
        try:
            if self._session is not None:
                self._session.close()
        finally:
            self._remove_cache()

    @contextmanager
    def _answer(
        self, url: str, params: dict[str, str], on_phase: OnPhase = ignore_phase
    ) -> Iterator[tuple[bytes, float]]:
        """The body of a response, and the seconds that it took; the throttle learns whether the block could use it."""
        if self._closed.is_set():
            raise SourceError("Yahoo Finance: request cancelled, the run is ending")
        self.open()
        session, data = self._session, self._data
        assert session is not None  # noqa: S101  # open() set it
        if data._session is not session:
            # Any call of yfinance without session= replaces the session.
            data._set_session(session)
        session.start_query(on_phase)
        # Includes the time in which yfinance waits for a cookie and crumb requested by another thread.
        on_phase(RequestPhase.ANSWER)
        try:
            body = _body(self._response(session, data, url, params))
            on_phase(RequestPhase.READING)
            yield body, session.seconds()
        except ThrottledError:
            raise
        except ChartRefusedError:
            self._throttle.succeeded()
            raise
        except SourceError as error:
            session.crumb_suspect = True
            self._throttle.failed(str(error))
            raise
        except Exception as error:  # yfinance does not wrap unexpected errors
            failure = SourceError(
                f"Yahoo Finance: yfinance failed with {type(error).__name__}: {one_line(error)}"
            )
            self._throttle.failed(str(failure))
            raise failure from error
        else:
            self._throttle.succeeded()
        finally:
            on_phase(RequestPhase.READING)
            if session.crumb_suspect:
                session.crumb_suspect = False
                with data._cookie_lock:
                    data._crumb = None

    def _response(self, session: ThrottledSession, data: Any, url: str, params: dict[str, str]) -> Any:
        """The response, requested again if the first request was redirected to a consent page.

        Raises:
            ThrottledError: Yahoo requires consent again.
            SourceError: the request was redirected to another site, such as the log-in page of a network.
        """
        for _ in range(2):
            response = data.get(url, params=params, timeout=self._timeout)
            host = urlsplit(response.url).hostname or ""
            if host == urlsplit(url).hostname:
                return response
            if not f".{host}".endswith(_YAHOO):
                raise SourceError(
                    f"Yahoo Finance: requests are redirected to {one_line(host, 60)}; log in to the network there, "
                    "or give --proxy"
                )
            # Consent sets a new cookie, for which the old crumb is invalid.
            with data._cookie_lock:
                data._crumb = None
        raise session.consent_refused()

    def _private_cache(self) -> Path:
        """A private folder of this process for yfinance's cookies, which are pickles; stale ones are removed."""
        try:
            self._cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self._cache_dir.glob(f"{_CACHE_PREFIX}*"):
                if not _is_running(left.name.split("-")[1]):
                    shutil.rmtree(left, ignore_errors=True)
            cache = tempfile.mkdtemp(prefix=f"{_CACHE_PREFIX}{os.getpid()}-", dir=self._cache_dir)
        except OSError as error:
            reason, remedy = error.strerror or error, resource_remedy(error) or "make it writable"
            raise SourceError(f"cache folder {self._cache_dir} cannot be used: {reason}; {remedy}") from error
        self._remove_cache = weakref.finalize(self, shutil.rmtree, cache, ignore_errors=True)
        return Path(cache)

    def _report_new_states(self, states: set[str]) -> None:
        """Log each unknown session name once; its quotes use their newest trade."""
        if new := self._unreported(states, self._reported_states, _MAX_STATES):
            _log.warning(
                "Yahoo Finance returned an unknown market session: %s; its newest trades are used", new
            )

    def _warn_unrequested(self, symbols: frozenset[str]) -> None:
        if new := self._unreported(symbols, self._unrequested, _MAX_UNREQUESTED):
            _log.warning("Yahoo Finance returned symbols that were not requested: %s", one_line(new))

    def _unreported(self, found: Set[str], reported: set[str], most: int) -> str:
        """Add and return the values not reported before; empty if there are none, or once `most` have been reported."""
        with self._reporting:
            new = found - reported
            if len(reported) >= most:
                return ""
            reported |= new
        return ", ".join(sorted(new))


def _chart_url(symbol: str) -> str:
    return _CHART_URL + quote(yahoo_symbol(symbol), safe="=")


def _body(response: Any) -> bytes:
    if response.status_code != 200:
        from sp500tui.sources.yahoo.session import REFUSED, http_error_message

        refused = response.status_code in REFUSED
        where = "cookie and crumb refused" if refused else urlsplit(response.url).hostname or ""
        raise SourceError(http_error_message(response, where))
    body: bytes = response.content
    return body


def _is_running(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def _importable_without_home(cache: Path) -> Iterator[None]:
    """Make yfinance importable without a home directory: it determines the user's cache folder on import."""
    if user_folder("cache") is not None:
        yield
        return
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(cache)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before


def _silence_loggers() -> None:
    """Keep libraries from writing to the terminal; relevant errors are reported by this package."""
    for name in ("yfinance", "peewee"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        # Their debug records contain cookies and crumbs.
        logger.setLevel(logging.ERROR)
