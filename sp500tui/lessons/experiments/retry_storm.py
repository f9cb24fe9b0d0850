"""A retry storm and a circuit breaker: requests to a source that is down."""

from __future__ import annotations

from contextlib import suppress

from sp500tui.lessons.bench import Bench, LocalMarket
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Measured, Source, Value, number, ratio
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.service_thread import ServiceThread

_WORKERS = 12
_OUTAGE = 2.5
"""Seconds of each of the two outages."""
_URL = "https://query1.finance.yahoo.com/v7/finance/quote?symbols=AAPL"
_MIN_RATIO = 5.0
_FAULT = "server_error"


class _ImpatientClient:
    """A client that sends its next request as soon as one has failed."""

    def __init__(self, market: LocalMarket) -> None:
        import requests

        self.sent = 0
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.proxies = {"https": market.proxy_url}
        self._session.verify = str(market.ca_file)

    def step(self) -> float:
        """Send one request."""
        import requests

        with suppress(requests.RequestException):
            self._session.get(_URL, timeout=5)
        self.sent += 1
        return 0.0


def _storm(bench: Bench, market: LocalMarket) -> int:
    """Requests that clients without a breaker send during an outage."""
    clients = [_ImpatientClient(market) for _ in range(_WORKERS)]
    threads = [ServiceThread(f"client-{n}", each.step, attempts=1) for n, each in enumerate(clients, 1)]
    try:
        for thread in threads:
            thread.start()
        bench.sleep(_OUTAGE)
    finally:
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join(10.0)
    return sum(client.sent for client in clients)


def _faults(bench: Bench) -> int:
    counts = bench.market.statistics().get("faults")
    return int(counts.get(_FAULT, 0)) if isinstance(counts, dict) else 0


def _measure(bench: Bench) -> dict[str, Value]:
    market = bench.market
    if not isinstance(market, LocalMarket):
        raise LessonError("this lesson needs the demo market of this program: run sp500tui learn retry-storm")
    bench.scale(StageName.PRICE, _WORKERS)
    bench.report(f"the source fails for {_OUTAGE:g} s: requests of the pipeline")
    bench.market.set_faults(**{_FAULT: 1.0})
    before = _faults(bench)
    bench.pipeline.run_cycle_now()
    bench.sleep(_OUTAGE)
    with_breaker = _faults(bench) - before
    state = bench.pipeline.snapshot().sources
    bench.report(f"the source fails for {_OUTAGE:g} s: requests of clients that retry at once")
    without_breaker = _storm(bench, market)
    bench.report("the source works again: waiting for the next probe")
    bench.market.set_faults()
    recovered = bench.wait_until(lambda seen: seen.sources.retry_in is None, "recovery of the source")
    return {
        "clients": _WORKERS,
        "without_breaker": without_breaker,
        "with_breaker": with_breaker,
        "ratio": without_breaker / max(1, with_breaker),
        "circuit_opened": "yes" if state.retry_in is not None else "no",
        "circuit_closed_afterwards": "yes" if recovered.sources.retry_in is None else "no",
    }


def _effect(measured: Measured) -> bool:
    return (
        number(measured, "with_breaker") >= 1
        and ratio(measured, "without_breaker", "with_breaker") >= _MIN_RATIO
        and measured.get("circuit_opened") == measured.get("circuit_closed_afterwards") == "yes"
    )


LESSON = Lesson(
    name="retry-storm",
    title="A retry storm and a circuit breaker",
    question=(
        "The source answers every request with an error for 2.5 seconds. Twelve clients that try again at once send "
        "hundreds of requests. How many do the pipeline's twelve price workers send?"
    ),
    answers=("about as many", "about one for each worker, then hardly any", "none"),
    correct=1,
    change=(
        "Every request to the market fails for 2.5 s while a cycle runs, then for 2.5 s more while twelve threads "
        "of this lesson request without delay. The market counts the pipeline's requests."
    ),
    claim=(
        f"Without a breaker there are at least {_MIN_RATIO:g} times as many requests; the pipeline's circuit opens, "
        "and closes after the outage."
    ),
    why=(
        "Immediate retries multiply the load exactly when the source can bear it least. After three failures in a "
        "row the throttle, which all workers share, opens its circuit: no request is sent until a delay with jitter "
        "is over, which doubles each time. Then a single probe decides for all of them."
    ),
    source=(
        Source("sources/throttle.py", "Throttle.failed"),
        Source("backoff.py", "BackOff.delay"),
    ),
    figures=(
        Figure("clients", "workers, and clients without a breaker"),
        Figure("without_breaker", "requests of the clients that retry at once"),
        Figure("with_breaker", "requests of the pipeline"),
        Figure("ratio", "times as many", "×", 0),
        Figure("circuit_opened", "the circuit was open during the outage"),
        Figure("circuit_closed_afterwards", "the circuit closed afterwards"),
    ),
    measure=_measure,
    effect=_effect,
)
