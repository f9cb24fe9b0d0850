"""The smaller parts of the demo market: ledger, Wikipedia's page, stream frames, sessions, command line."""

from __future__ import annotations

import argparse
import base64
import importlib.util
import io
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.errors import ConfigurationError
from sp500tui.model import MarketState
from sp500tui.simulator.__main__ import main
from sp500tui.simulator.command import add_arguments, parse_time
from sp500tui.simulator.market.instruments import constituents
from sp500tui.simulator.stats import (
    ServedBar,
    ServedChart,
    ServedQuote,
    ServedQuotesLog,
    read_served_charts,
    read_served_quotes,
)
from sp500tui.simulator.wikipedia import constituents_page
from sp500tui.simulator.yahoo.auth import Sessions, consent_page
from sp500tui.simulator.yahoo.stream import pricing_data, signed, varint
from tests.support.market.recordings import own_and_real
from tests.unit.simulator.test_clock import SettableTime
from tests.unit.simulator.test_market import known, new_market

QUOTES = [ServedQuote("BRK.B", 1_764_000_000, "477.6701"), ServedQuote('"\n', 1, "1e-05")]
CHART = ServedChart(
    "BRK.B", "1m", 1_764_000_600, (ServedBar(1_764_000_000, 1_764_000_060, "1.5", "2", "1", "1", 7),), (5,)
)


def test_the_ledger_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = ServedQuotesLog(path)
    ledger.add(QUOTES)
    ledger.add_chart(CHART)
    ledger.add(QUOTES[:1])
    ledger.close()
    assert read_served_quotes(path) == [*QUOTES, QUOTES[0]]
    assert read_served_charts(path) == [CHART]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_truncated_last_line_of_the_ledger_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = ServedQuotesLog(path)
    ledger.add(QUOTES)
    ledger.close()
    path.write_bytes(path.read_bytes()[:-5])
    assert read_served_quotes(path) == QUOTES[:1]


def test_a_ledger_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot write the ledger .*no-such-folder"):
        ServedQuotesLog(tmp_path / "no-such-folder" / "ledger.jsonl")


def test_the_page_has_the_structure_of_wikipedias() -> None:
    # given the page of the whole index
    soup = BeautifulSoup(constituents_page(constituents()), "lxml")
    rows = soup.select("#constituents tr")

    # then header texts and rows are those of the real page
    assert [" ".join(cell.get_text().split()) for cell in rows[0].find_all("th")] == [
        "Symbol", "Security", "GICS Sector", "GICS Sub-Industry", "Headquarters Location", "Date added", "CIK",
        "Founded",
    ]  # fmt: skip
    assert len(rows) == 504
    cells = [cell.get_text().strip() for cell in rows[1].find_all("td")]
    assert cells == [
        "MMM", "3M", "Industrials", "Industrial Conglomerates", "Saint Paul, Minnesota", "1957-03-04", "0000066740",
        "1902",
    ]  # fmt: skip
    # and there are footnotes to clean, a dotted symbol, and a second table with two header rows
    assert any("[" in row.find_all("td")[1].get_text() for row in rows[1:])
    assert "BRK.B" in [row.td.get_text().strip() for row in rows[1:] if row.td]
    assert [len(row.find_all("th")) for row in soup.select("#changes tr")[:2]] == [4, 4]


def test_names_with_markup_do_not_break_the_page() -> None:
    listing = constituents()[0]
    fields = {name: getattr(listing, name) for name in listing.__slots__}
    odd = type(listing)(**{**fields, "name": '<b>"A & B"</b>'})
    soup = BeautifulSoup(constituents_page([odd]), "lxml")
    assert '<b>"A & B"</b>' in soup.get_text()


@pytest.fixture(scope="module")
def pricing_pb2() -> ModuleType:
    """The protobuf classes that yfinance ships, without yfinance."""
    package = importlib.util.find_spec("yfinance")
    assert package is not None
    assert package.origin is not None
    spec = importlib.util.spec_from_file_location(
        "pricing_pb2", Path(package.origin).with_name("pricing_pb2.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_frame_reads_back_with_the_real_decoder(pricing_pb2: ModuleType) -> None:
    # given the frame of a share in the regular session
    instrument = known(new_market(SettableTime()), "MMM")
    frame = pricing_pb2.PricingData()
    frame.ParseFromString(pricing_data(instrument, MarketState.REGULAR))

    # then it has the fields of the quote, and prices with seven digits
    day = instrument.today
    assert (frame.id, frame.exchange, frame.market_hours) == ("MMM", "NYQ", 1)
    assert frame.time == day.time * 1000
    assert frame.day_volume == day.volume
    assert frame.price == pytest.approx(day.price, rel=1e-6)
    assert frame.change == pytest.approx(day.price - day.previous_close, abs=1e-4)
    assert frame.previous_close == pytest.approx(day.previous_close, rel=1e-6)


@pytest.mark.parametrize("path", own_and_real("yahoo/ws_pricing_frames.json", "yahoo/ws_pricing_frames.json"))
def test_a_frame_has_the_fields_of_a_recorded_one(pricing_pb2: ModuleType, path: Path) -> None:
    share = json.loads(path.read_text("utf-8"))["frames"][1]["b64"]
    real, ours = pricing_pb2.PricingData(), pricing_pb2.PricingData()
    real.ParseFromString(base64.b64decode(share))
    ours.ParseFromString(pricing_data(known(new_market(SettableTime()), "MMM"), MarketState.REGULAR))
    assert {field.name for field, _ in real.ListFields()} <= {field.name for field, _ in ours.ListFields()}
    assert ours.quote_type == real.quote_type


@pytest.mark.parametrize(
    ("start_at", "state", "hours"),
    [(8, MarketState.PRE, 0), (18, MarketState.POST, 2), (23, MarketState.CLOSED, 3)],
)
def test_a_frame_has_the_trading_session(
    pricing_pb2: ModuleType, start_at: int, state: MarketState, hours: int
) -> None:
    instrument = known(new_market(SettableTime(), start_at=start_at * 3600), "MMM")
    frame = pricing_pb2.PricingData()
    frame.ParseFromString(pricing_data(instrument, state))
    trade = instrument.pre if state is MarketState.PRE else instrument.post
    assert trade is not None
    assert frame.market_hours == hours
    assert frame.time == trade[1] * 1000


@given(st.integers(-(2**62), 2**62))
def test_signed_numbers_are_zigzag_varints(value: int) -> None:
    encoded = signed(3, value)
    if value == 0:
        assert encoded == b""
        return
    assert encoded[0] == 3 << 3
    raw = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded[1:]))
    assert (raw >> 1) ^ -(raw & 1) == value


def test_a_varint_takes_seven_bits_a_byte() -> None:
    assert varint(0) == b"\0"
    assert varint(300) == b"\xac\x02"


def test_a_crumb_belongs_to_its_cookie() -> None:
    # given the cookies of two sessions
    sessions = Sessions()
    first, second = (sessions.cookie_of(sessions.new_cookie().partition(";")[0]) for _ in range(2))
    assert first is not None
    assert second is not None

    # then each has its own crumb, always the same, which another market does not accept
    assert len(sessions.crumb_for(first)) == 11
    assert sessions.crumb_for(first) == sessions.crumb_for(first)
    assert sessions.crumb_for(first) != sessions.crumb_for(second)
    assert Sessions().crumb_for(first) != sessions.crumb_for(first)


@pytest.mark.parametrize("header", ["", "B=1", "A3=", "A3", "\x00=;;;", "a@b=1; A3=x"])
def test_without_a_cookie_there_is_no_session(header: str) -> None:
    assert Sessions().cookie_of(header) is None


def test_the_consent_form_brings_back_its_token() -> None:
    sessions = Sessions()
    session, token = sessions.new_consent()
    soup = BeautifulSoup(consent_page(session, token), "html.parser")
    hidden = {field["name"]: field["value"] for field in soup.find_all("input")}
    assert hidden["csrfToken"] == sessions.consent_token(session) == token
    assert hidden["sessionId"] == session


@pytest.mark.parametrize(("text", "seconds"), [("09:30", 34_200), ("15:59:30", 57_570), ("00:00", 0)])
def test_a_time_of_day_is_read(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["25:00", "noon", "", "9", "15:59+02:00"])
def test_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--start-at"):
        parse_time(text)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "70000"], "--port 70000"),
        (["--port", "99999999"], "--port 99999999"),
        (["--port", "-1"], "--port -1"),
        (["--speed", "0"], "--speed 0"),
        (["--market-speed", "nan"], "--speed nan"),
        (["--extra-symbols", "100000"], "--extra-symbols"),
        (["--faults", "{"], "--faults"),
        (["--faults", '{"thottle": 1}'], "thottle"),
        (["--latency", "-1"], "latency"),
        (["--start-at", "noon"], "--start-at"),
        (["--ledger", "/no-such-folder/ledger"], "/no-such-folder/ledger"),
        (["--ca-dir", "/no-such-folder"], "/no-such-folder"),
    ],
)
@pytest.mark.processes
def test_impossible_options_are_one_line_and_an_exit_code(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(arguments)
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert named in said.err
    assert said.err.count("\n") == 1


def test_a_child_reports_errors_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--child", "--speed", "0"]) == 2
    assert "--speed 0" in json.loads(capsys.readouterr().out)["error"]


class Announcement(io.StringIO):
    """A stdout that calls a function once everything is announced."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__()
        self._then = then

    def flush(self) -> None:
        self._then()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.processes
def test_it_serves_until_a_signal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    # given a user who ends it as soon as it has printed how to use it
    stdout = Announcement(lambda: os.kill(os.getpid(), number))
    monkeypatch.setattr("sys.stdout", stdout)

    # then it ends with the signal's exit code and removes the certificate
    assert main(["--ca-dir", str(tmp_path), "--latency", "0.1"]) == 128 + number
    for name in (
        "HTTPS_PROXY=http://127.0.0.1:",
        f"SSL_CERT_FILE={tmp_path}",
        "CURL_CA_BUNDLE=",
        "REQUESTS_CA_BUNDLE=",
    ):
        assert name in stdout.getvalue()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.processes
def test_a_script_gets_the_addresses_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = Announcement(lambda: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr("sys.stdout", stdout)
    assert main(["--json"]) == 128 + signal.SIGTERM
    ready = json.loads(stdout.getvalue())
    assert ready.keys() == {"proxy_url", "control_url", "ca_file", "token", "pid"}
    assert not Path(ready["ca_file"]).parent.exists()


@pytest.mark.processes
def test_a_port_in_use_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        assert main(["--port", port]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said.err


@pytest.mark.processes
def test_a_child_serves_until_its_stdin_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a parent that exits as soon as the child is ready
    reading, writing = os.pipe()
    stdout = Announcement(lambda: os.close(writing))
    handler = signal.getsignal(signal.SIGINT)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.stdout", stdout)
        try:
            code = main(["--child"])
        finally:
            signal.signal(signal.SIGINT, handler)

    # then it ends, with its private folder
    assert code == 0
    ready = json.loads(stdout.getvalue())
    assert ready["pid"] == os.getpid()
    assert not Path(ready["ca_file"]).parent.exists()


def test_the_options_can_be_added_to_any_parser() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args([]).port == 0
