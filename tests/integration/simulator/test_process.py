"""The demo market as a separate process, with unmodified clients."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
import requests

from sp500tui.errors import ConfigurationError, SourceError
from sp500tui.simulator import process as process_module
from sp500tui.simulator.process import DemoMarket
from sp500tui.simulator.stats import ServedQuote, read_served_quotes
from tests.support.market.demo import client_environment

ROOT = Path(__file__).parents[3]
TIMEOUT = 60.0
CHART = "https://query1.finance.yahoo.com/v8/finance/chart/AAPL?range=5d"
PAGE = "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies"
PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from sp500tui.simulator.process import DemoMarket
market = DemoMarket.start()
print(market.pid, market.ca_file, flush=True)
time.sleep(60)
"""
YFINANCE = """
import json, warnings
warnings.simplefilter("ignore")
import yfinance
info = yfinance.Ticker("AAPL").fast_info
frame = yfinance.download(["AAPL", "BRK-B"], period="5d", progress=False, auto_adjust=False)
minutes = yfinance.download("MSFT", period="1d", interval="1m", progress=False)
print(json.dumps({
    "last": info["lastPrice"], "before": info["regularMarketPreviousClose"], "currency": info["currency"],
    "capital": info["marketCap"], "shares": info["shares"], "previous": info["previousClose"],
    "rows": len(frame), "closes": frame["Close"]["BRK-B"].tolist(), "minutes": len(minutes),
}))
"""


@pytest.fixture
def market(tmp_path: Path) -> Iterator[DemoMarket]:
    """A separate demo market, which the test may end."""
    with DemoMarket.start(seed=3, ledger=tmp_path / "ledger.jsonl") as market:
        yield market


def run_client(market: DemoMarket, home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program that gets the address of the demo market only from its environment."""
    environment = {**os.environ, **client_environment(market, home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_curl_works_with_the_environment_only(demo_market: DemoMarket, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    done = run_client(demo_market, tmp_path, "curl", "-sS", "--fail", CHART)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["chart"]["result"][0]["timestamp"]) == 5


def test_requests_works_with_the_environment_only(
    demo_market: DemoMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in client_environment(demo_market, tmp_path).items():
        monkeypatch.setenv(name, value)
    page = requests.get(PAGE, headers={"User-Agent": "tests (+https://example.org)"}, timeout=10)
    assert page.status_code == 200
    assert page.text.count("<tr>") > 503


@pytest.mark.slow
def test_yfinance_works_with_the_environment_only(demo_market: DemoMarket, tmp_path: Path) -> None:
    # when fast_info and download are used as documented
    done = run_client(demo_market, tmp_path, sys.executable, "-c", YFINANCE)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])

    # then they agree with each other and with the listing
    assert seen["currency"] == "USD"
    assert seen["last"] == pytest.approx(seen["before"], rel=0.1)
    assert seen["capital"] == pytest.approx(seen["last"] * seen["shares"], rel=0.01)
    assert seen["previous"] > 0
    assert seen["rows"] == 5
    assert all(close > 0 for close in seen["closes"])
    assert seen["minutes"] >= 1


def test_it_listens_on_the_loopback_interface_only(demo_market: DemoMarket) -> None:
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(demo_market.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_the_folder_of_the_certificate_is_private_and_holds_nothing_else(demo_market: DemoMarket) -> None:
    folder = demo_market.ca_file.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == [demo_market.ca_file.name]
    assert b"PRIVATE" not in demo_market.ca_file.read_bytes()


def test_events_reach_the_market_and_its_page(
    market: DemoMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in client_environment(market, tmp_path).items():
        monkeypatch.setenv(name, value)
    agent = {"User-Agent": "tests (+https://example.org)"}
    before = requests.get(PAGE, headers=agent, timeout=10)

    # when the index changes
    market.apply_event("change", added="NEWCO", removed="MMM")

    # then the page does, with its entity tag
    known = {**agent, "If-None-Match": before.headers["ETag"]}
    after = requests.get(PAGE, headers=known, timeout=10)
    assert after.status_code == 200
    assert "Newcomer Newco" in after.text
    with pytest.raises(SourceError, match="refused POST /events: event change: NOPE is not in the index"):
        market.apply_event("change", removed="NOPE")


def test_stopping_ends_it_and_cleans_up(market: DemoMarket) -> None:
    assert market.alive()
    assert market.health()["status"] == "ok"
    market.close()
    assert not market.alive()
    assert not market.ca_file.parent.exists()
    market.close()
    with pytest.raises(SourceError, match="does not answer"):
        market.health()


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    # given a program that started a demo market
    command = [sys.executable, "-c", PARENT, str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        pid, ca_file = parent.stdout.readline().split()
        child = psutil.Process(int(pid))

        # when that program is killed
        parent.kill()

    # then the demo market ends by itself and leaves no files
    child.wait(TIMEOUT)
    assert not Path(ca_file).parent.exists()


def test_nothing_in_the_present_folder_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a folder with a file named like a library
    (tmp_path / "aiohttp.py").write_text("raise SystemExit('foreign code')")
    monkeypatch.chdir(tmp_path)

    # then the demo market started there is the real one
    with DemoMarket.start() as market:
        assert market.health()["status"] == "ok"


def test_sigint_is_left_to_the_parent_and_sigterm_ends_it(market: DemoMarket) -> None:
    os.kill(market.pid, signal.SIGINT)
    assert market.health()["status"] == "ok"
    os.kill(market.pid, signal.SIGTERM)
    psutil.Process(market.pid).wait(TIMEOUT)
    assert not market.alive()


def test_one_that_hangs_is_killed(market: DemoMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_STOP_TIMEOUT", 0.1)
    os.kill(market.pid, signal.SIGSTOP)
    market.close()
    assert not market.alive()
    assert not market.ca_file.parent.exists()


def test_the_ledger_survives_a_kill(market: DemoMarket, tmp_path: Path) -> None:
    # given quotes that a client received
    with requests.Session() as session:
        session.trust_env = False
        session.proxies, session.verify = {"https": market.proxy_url}, str(market.ca_file)
        session.get("https://fc.yahoo.com/", timeout=10)
        crumb = session.get("https://query1.finance.yahoo.com/v1/test/getcrumb", timeout=10).text
        answer = session.get(
            "https://query1.finance.yahoo.com/v7/finance/quote",
            params={"symbols": "AAPL,BRK-B", "crumb": crumb},
            timeout=10,
        ).json()["quoteResponse"]["result"]

    # when the market processes the next request, and is killed before it can write anything else
    market.health()
    os.kill(market.pid, signal.SIGKILL)
    psutil.Process(market.pid).wait(TIMEOUT)

    # then the ledger has these quotes
    assert read_served_quotes(tmp_path / "ledger.jsonl") == [
        ServedQuote(symbol, quote["regularMarketTime"], repr(quote["regularMarketPrice"]))
        for symbol, quote in zip(("AAPL", "BRK.B"), answer, strict=True)
    ]


def test_faults_are_set_and_cleared_from_the_parent(demo_market: DemoMarket) -> None:
    demo_market.set_faults(throttle=0.5, retry_after=3)
    assert demo_market.faults()["throttle"] == 0.5
    demo_market.set_faults(drop=1)
    assert demo_market.faults()["throttle"] == 0
    demo_market.clear_faults()
    assert demo_market.faults()["drop"] == 0
    with pytest.raises(ConfigurationError, match="thottle"):
        demo_market.set_faults(thottle=1)
    assert "requests" in demo_market.statistics()


def test_a_refusal_of_the_control_endpoint_is_an_error(
    demo_market: DemoMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_market, "token", "guessed")
    with pytest.raises(SourceError, match="refused GET /faults"):
        demo_market.faults()
    monkeypatch.undo()


def test_options_reach_the_child(tmp_path: Path) -> None:
    options = {"speed": 100, "latency": 0.01, "start_at": "15:59", "extra_symbols": 3, "faults": {"drop": 1}}
    with DemoMarket.start(ca_dir=tmp_path, **options) as market:  # type: ignore[arg-type]
        faults, health = market.faults(), market.health()
        assert (faults["latency"], faults["drop"]) == (0.01, 1)
        assert health["market_state"] in ("REGULAR", "POST")
        assert market.ca_file.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_cannot_start_reports_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"did not start: cannot write the ledger .*none"):
        DemoMarket.start(ledger=tmp_path / "none" / "ledger")
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        with pytest.raises(SourceError, match=f"cannot listen on 127.0.0.1:{port}"):
            DemoMarket.start(port=port)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import time; time.sleep(60)", "within 0.2 s"),
        ("import sys; sys.exit('no such thing')", "no such thing"),
        ("print('hello', flush=True)", "gave no reason"),
        ("print('{}', flush=True)", "gave no reason"),
    ],
)
def test_a_child_with_an_invalid_announcement_is_ended(
    monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    monkeypatch.setattr(process_module, "python_command", lambda *_: [sys.executable, "-c", program])
    monkeypatch.setattr(process_module, "_STOP_TIMEOUT", 0.1)
    with pytest.raises(SourceError, match=reason):
        DemoMarket.start(timeout=0.2 if "sleep" in program else TIMEOUT)


def test_starting_it_loads_no_server_here() -> None:
    program = (
        "import sys, sp500tui.simulator.process; print('aiohttp' in sys.modules, 'yfinance' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_a_process_that_cannot_be_started_is_an_error_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(SourceError, match=r"did not start: Resource temporarily unavailable .*; use fewer"):
        DemoMarket.start()


def test_a_file_for_keys_that_cannot_be_written_does_not_keep_it_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nonexistent/keys")
    with DemoMarket.start() as market:
        assert market.alive()
