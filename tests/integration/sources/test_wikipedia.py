"""The list of constituents from the demo market's Wikipedia, through the proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sp500tui.simulator.process import DemoMarket
from sp500tui.sources.wikipedia.client import Wikipedia

URL = "https://en.wikipedia.org/wiki/List_of_S%26P_500_companies"
AGENT = "sp500tui/1 (+https://example.org/contact)"


def wikipedia(market: DemoMarket, folder: Path, **options: Any) -> Wikipedia:
    usual: dict[str, Any] = {
        "proxy": market.proxy_url,
        "ca_file": market.ca_file,
        "timeout": 5.0,
        "user_agent": AGENT,
    }
    return Wikipedia(URL, cache_dir=folder, **{**usual, **options})


def statuses(market: DemoMarket) -> dict[str, int]:
    found = market.statistics()["statuses"]
    assert isinstance(found, dict)
    return found


def test_the_page_is_read_once_and_then_only_confirmed(demo_market: DemoMarket, tmp_path: Path) -> None:
    first = wikipedia(demo_market, tmp_path).load()
    assert (len(first.constituents), first.origin, first.warning) == (503, "wikipedia", "")
    confirmed = statuses(demo_market).get("304", 0)
    second = wikipedia(demo_market, tmp_path).load()
    assert statuses(demo_market)["304"] == confirmed + 1
    assert (second.constituents, second.origin) == (first.constituents, "wikipedia")
    assert second.date > first.date


@pytest.mark.parametrize(
    ("fault", "words"), [("down", "answered 503"), ("forbidden", "answered 403"), ("garbled", "Wikipedia's ")]
)
def test_a_page_that_cannot_be_used_leaves_the_last_good_list(
    demo_market: DemoMarket, tmp_path: Path, fault: str, words: str
) -> None:
    demo_market.set_faults(wikipedia=fault)
    assert wikipedia(demo_market, tmp_path).load().origin == "bundled"
    demo_market.clear_faults()
    good = wikipedia(demo_market, tmp_path).load()
    demo_market.set_faults(wikipedia=fault)
    found = wikipedia(demo_market, tmp_path).load()
    assert (found.origin, found.constituents, found.date) == ("cache", good.constituents, good.date)
    assert words in found.warning


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user_agent": "python-requests/2.32"}, "answered 403"),
        ({"ca_file": None}, "the certificate of en.wikipedia.org is not trusted"),
        ({"proxy": "http://me:secret@127.0.0.1:1"}, "the proxy did not connect to en.wikipedia.org"),
        ({"proxy": "http://me:secret@"}, "en.wikipedia.org or its proxy cannot be used"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "/nowhere/ca.pem"),
    ],
)
def test_the_reason_of_a_failed_request_is_named(
    demo_market: DemoMarket,
    tmp_path: Path,
    options: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    found = wikipedia(demo_market, tmp_path, **options).load()
    assert found.origin == "bundled"
    assert words in found.warning
    assert "secret" not in found.warning


def test_a_page_that_arrives_too_slowly_is_abandoned(demo_market: DemoMarket, tmp_path: Path) -> None:
    demo_market.set_faults(latency=3.0)
    found = wikipedia(demo_market, tmp_path, timeout=0.3).load()
    assert "did not answer within 0.3 s" in found.warning
