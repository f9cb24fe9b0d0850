"""Wikipedia's list, or the last valid one, or the bundled one, with an injected transport."""

from __future__ import annotations

import io
import json
import logging
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import LocationParseError
from urllib3.response import HTTPResponse

from sp500tui.sources.wikipedia.cache import (
    BUNDLED_DATE,
    CachedConstituents,
    bundled_constituents,
    read_cache,
    write_cache,
)
from sp500tui.sources.wikipedia.client import Wikipedia
from tests.unit.sources.test_wikipedia_changes import cells
from tests.unit.sources.test_wikipedia_changes import page as changes_page
from tests.unit.sources.test_wikipedia_table import HEADERS, page, rows

URL = "https://en.wikipedia.org/wiki/List"
AGENT = "sp500tui/1 (+https://example.org)"
NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


class Server(BaseAdapter):
    """Answers every request of `requests` with a prepared response, and records the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[requests.PreparedRequest, dict[str, Any]]] = []
        self.answer: Callable[[], tuple[int, bytes, dict[str, str]]] = lambda: (
            200,
            page(rows()).encode(),
            {},
        )

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.asked.append((request, kwargs))
        status, body, headers = self.answer()
        raw = HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)
        response = requests.adapters.HTTPAdapter().build_response(request, raw)
        response.reason = "because\x1b[2J"
        return response

    def close(self) -> None:
        pass

    def header(self, name: str) -> str | None:
        return self.asked[-1][0].headers.get(name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    adapter = Server()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: adapter)
    return adapter


def wikipedia(folder: Path, url: str = URL, **options: Any) -> Wikipedia:
    usual: dict[str, Any] = {
        "proxy": None,
        "ca_file": None,
        "timeout": 5,
        "user_agent": AGENT,
        "clock": lambda: NOW,
    }
    return Wikipedia(url, cache_dir=folder, **{**usual, **options})


def cached(folder: Path, count: int) -> None:
    """Write a cache like a valid response of some lines."""
    write_cache(folder, CachedConstituents(URL, bundled_constituents()[:count], NOW, "", ""))


def raising(error: Exception) -> Callable[[], tuple[int, bytes, dict[str, str]]]:
    def answer() -> tuple[int, bytes, dict[str, str]]:
        raise error

    return answer


def test_the_request_names_the_program_and_the_cache_is_private(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    found = wikipedia(folder).load()
    assert (len(found.constituents), found.origin, found.date, found.warning) == (503, "wikipedia", NOW, "")
    assert server.header("User-Agent") == AGENT
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = read_cache(folder)
    assert kept is not None
    assert kept.constituents == found.constituents


@pytest.mark.parametrize(
    ("headers", "asked", "value"),
    [
        ({"ETag": '"abc"', "Last-Modified": "yesterday"}, "If-None-Match", '"abc"'),
        (
            {"Last-Modified": "Mon, 04 May 2026 11:00:00 GMT"},
            "If-Modified-Since",
            "Mon, 04 May 2026 11:00:00 GMT",
        ),
    ],
)
def test_an_unchanged_page_is_not_sent_again(
    server: Server, tmp_path: Path, headers: dict[str, str], asked: str, value: str
) -> None:
    server.answer = lambda: (200, page(rows(500)).encode(), headers)
    wikipedia(tmp_path).load()
    server.answer = lambda: (304, b"", {})
    later = NOW + timedelta(days=2)
    found = wikipedia(tmp_path, clock=lambda: later).load()
    assert server.header(asked) == value
    assert (len(found.constituents), found.origin, found.date) == (500, "wikipedia", later)
    assert wikipedia(tmp_path, clock=lambda: later).load().origin == "wikipedia"


def test_a_list_that_cannot_be_cached_is_kept_in_memory(server: Server, tmp_path: Path) -> None:
    # given a folder for the cache that cannot be created, and a page that was read once
    (tmp_path / "file").write_text("in the way")
    source = wikipedia(tmp_path / "file")
    server.answer = lambda: (200, page(rows(500)).encode(), {})
    assert source.load().origin == "wikipedia"
    # when Wikipedia fails, then its last list is used, not the older one bundled with the program
    server.answer = raising(requests.exceptions.ConnectionError("no"))
    found = source.load()
    assert (found.origin, len(found.constituents), found.date) == ("cache", 500, NOW)


FAILURES = [
    (raising(requests.exceptions.ProxyError("http://user:secret@proxy")), "the proxy did not connect to"),
    (raising(requests.exceptions.SSLError("bad")), "the certificate of en.wikipedia.org is not trusted"),
    (raising(requests.exceptions.ConnectTimeout("slow")), "en.wikipedia.org did not answer within 5 s"),
    (raising(requests.exceptions.ChunkedEncodingError("cut")), "closed the connection mid-response"),
    (
        raising(requests.exceptions.ContentDecodingError("not gzip")),
        "the compressed answer of en.wikipedia.org is damaged",
    ),
    (raising(requests.exceptions.ConnectionError("no")), "no connection to en.wikipedia.org"),
    (raising(OSError("no such CA file")), "en.wikipedia.org cannot be requested: no such CA file"),
    (
        raising(LocationParseError("'me:secret' is not a valid host")),
        "of en.wikipedia.org or its proxy cannot be used",
    ),
    (
        raising(requests.exceptions.InvalidProxyURL("me:secret")),
        "correct --wikipedia-url, --proxy or HTTPS_PROXY",
    ),
    (lambda: (403, b"Please set a user-agent", {}), "Wikipedia answered 403 because[2J"),
    (lambda: (200, b"<html>moved</html>", {}), "no table of constituents"),
    (lambda: (200, page(rows(3)).encode(), {}), "has 3 usable lines"),
    (lambda: (200, b"x" * (17 << 20), {}), "too large"),
    (lambda: (304, b"", {}), "304 Not Modified"),
]


@pytest.mark.parametrize(("answer", "words"), FAILURES)
def test_without_a_cache_the_bundled_list_is_used_with_one_warning(
    server: Server, tmp_path: Path, answer: Any, words: str
) -> None:
    server.answer = answer
    found = wikipedia(tmp_path).load()
    assert (found.origin, found.date, found.constituents) == ("bundled", BUNDLED_DATE, bundled_constituents())
    assert found.warning.startswith("using the list that comes with sp500tui, of May 2026, because ")
    assert words in found.warning
    assert found.warning.isprintable()
    assert "secret" not in found.warning
    assert read_cache(tmp_path) is None


@pytest.mark.parametrize(("answer", "words"), FAILURES[:-1])
def test_the_last_good_list_comes_before_the_bundled_one(
    server: Server, tmp_path: Path, answer: Any, words: str
) -> None:
    cached(tmp_path, 499)
    server.answer = answer
    found = wikipedia(tmp_path, clock=lambda: NOW + timedelta(days=9)).load()
    assert (found.origin, len(found.constituents), found.date) == ("cache", 499, NOW)
    assert found.warning.startswith("using the last good list, of 2026-05-04 12:30 UTC, because ")
    assert words in found.warning


def spoilt(count: int, total: int = 503) -> bytes:
    lines = rows(total)
    for line in lines[10 : 10 + count]:
        line[0] = "n/a?"
    return page(lines).encode()


def test_a_few_unreadable_rows_are_left_out_with_one_warning(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = lambda: (200, spoilt(5), {})
    found = wikipedia(tmp_path).load()
    assert (found.origin, len(found.constituents), found.warning) == ("wikipedia", 498, "")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        (
            "5 of 503 rows of Wikipedia's table cannot be read and are left out: "
            "'n/a? Company 10', 'n/a? Company 11', 'n/a? Company 12', 'n/a? Company 13', 'n/a? Company 14'"
        )
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (spoilt(6), "6 of 503 rows of Wikipedia's table cannot be read: 'n/a? Company 10', "),
        (spoilt(90), "90 of 503 rows of Wikipedia's table cannot be read: 'n/a? Company 10', "),
        (page(rows(413)).encode(), "Wikipedia's table has 413 rows, but the last good list has "),
    ],
)
@pytest.mark.parametrize("origin", ["cache", "bundled"])
def test_the_last_good_list_is_better_than_a_page_that_lost_rows(
    server: Server, tmp_path: Path, body: bytes, words: str, origin: str
) -> None:
    if origin == "cache":
        cached(tmp_path, 502)
    server.answer = lambda: (200, body, {})
    found = wikipedia(tmp_path).load()
    assert (found.origin, len(found.constituents)) == (origin, 502 if origin == "cache" else 503)
    assert words in found.warning


def test_a_page_without_the_column_of_ciks_keeps_those_of_the_last_list(
    server: Server, tmp_path: Path
) -> None:
    server.answer = lambda: (200, page(rows()).encode(), {})
    before = wikipedia(tmp_path).load().constituents
    server.answer = lambda: (200, page([line[:6] for line in rows(504)], HEADERS[:6]).encode(), {})
    found = wikipedia(tmp_path).load().constituents
    assert [each.cik for each in found] == [*(each.cik for each in before), ""]


def test_changes_that_a_page_has_lost_at_its_end_are_kept(server: Server, tmp_path: Path) -> None:
    # given a page with four changes, newest first
    rows_of_changes = [
        cells(day, added, "x", "", "", "")
        for day, added in (
            ("May 7, 2026", "D"),
            ("May 7, 2025", "C"),
            ("May 7, 2025", "B"),
            ("2024-05-07", "A"),
        )
    ]
    html = page(rows()) + changes_page(*rows_of_changes)
    server.answer = lambda: (200, html.encode(), {})
    assert [each.added for each in wikipedia(tmp_path).load().changes] == ["D", "C", "B", "A"]
    # when it has a new one and is cut within a day, then no change is missing
    html = page(rows()) + changes_page(cells("May 8, 2026", "E", "x", "", "", ""), *rows_of_changes[:2])
    assert [each.added for each in wikipedia(tmp_path).load().changes] == ["E", "D", "C", "B", "A"]
    # and neither are they if the table is missing
    html = page(rows())
    assert len(wikipedia(tmp_path).load().changes) == 5


def test_a_list_shorter_by_a_few_companies_is_the_new_list(server: Server, tmp_path: Path) -> None:
    cached(tmp_path, 503)
    server.answer = lambda: (200, page(rows(493)).encode(), {})
    assert len(wikipedia(tmp_path).load().constituents) == 493


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"[]",
        lambda content: b"\xff\xfe",
        lambda content: b"[" * 100_000,
        lambda content: content.replace(b'"AAPL"', b'"AAPL; drop"'),
        lambda content: content.replace(b'"AAPL"', b"7"),
        lambda content: json.dumps(json.loads(content) | {"date": "9" * 400}).encode(),
        lambda content: json.dumps(
            json.loads(content) | {"constituents": json.loads(content)["constituents"][:9]}
        ).encode(),
    ],
)
def test_a_damaged_cache_is_ignored(server: Server, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    cached(tmp_path, 503)
    (file,) = tmp_path.iterdir()
    assert read_cache(tmp_path) is not None
    file.write_bytes(spoil(file.read_bytes()))
    server.answer = lambda: (500, b"", {})
    assert wikipedia(tmp_path).load().origin == "bundled"


def test_a_damaged_cache_is_replaced_by_the_next_good_list(server: Server, tmp_path: Path) -> None:
    (tmp_path / "constituents.json").write_bytes(b"{")
    assert wikipedia(tmp_path).load().origin == "wikipedia"
    server.answer = lambda: (500, b"", {})
    assert wikipedia(tmp_path).load().origin == "cache"


def test_the_cache_of_another_address_is_not_used(server: Server, tmp_path: Path) -> None:
    cached(tmp_path, 503)
    server.answer = lambda: (500, b"", {})
    assert wikipedia(tmp_path, url=URL + "/other").load().origin == "bundled"


def test_a_validator_that_cannot_be_sent_is_dropped(server: Server, tmp_path: Path) -> None:
    server.answer = lambda: (200, page(rows()).encode(), {"ETag": "caf\u00e9\x01"})
    wikipedia(tmp_path).load()
    wikipedia(tmp_path).load()
    assert server.header("If-None-Match") is None


def test_a_cache_that_cannot_be_written_costs_a_warning_only(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    found = wikipedia(blocked).load()
    assert found.origin == "wikipedia"
    assert "was not cached" in caplog.text


def test_an_interrupted_write_leaves_the_old_cache(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(tmp_path, 498)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    server.answer = lambda: (200, page(rows(497)).encode(), {})
    assert len(wikipedia(tmp_path).load().constituents) == 497
    monkeypatch.undo()
    kept = read_cache(tmp_path)
    assert kept is not None
    assert len(kept.constituents) == 498
    assert len(list(tmp_path.iterdir())) == 1


def test_proxy_and_ca_file_win_over_the_environment(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    wikipedia(tmp_path, proxy="http://127.0.0.1:8", ca_file=Path("/ca.pem")).load()
    options = server.asked[-1][1]
    assert options["proxies"]["https"] == "http://127.0.0.1:8"
    assert options["verify"] == "/ca.pem"


def test_the_bundled_list_is_complete() -> None:
    found = bundled_constituents()
    assert len(found) == 503
    assert all(line.name and line.sector and line.date_added and len(line.cik) == 10 for line in found)
    assert len({line.symbol for line in found}) == 503


def test_the_cache_holds_no_password_of_the_address(server: Server, tmp_path: Path) -> None:
    # given a mirror with a password, whose list was cached
    url = URL.replace("https://", "https://me:s3cr3t@")
    assert wikipedia(tmp_path, url=url).load().origin == "wikipedia"

    # then the password is in no file, and the list is found only with the same password
    assert not any(b"s3cr3t" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    server.answer = raising(requests.ConnectionError())
    assert wikipedia(tmp_path, url=url).load().origin == "cache"
    assert wikipedia(tmp_path, url=url.replace("s3cr3t", "other")).load().origin == "bundled"
