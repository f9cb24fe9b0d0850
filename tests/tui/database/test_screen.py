"""The database screen: metrics, their SQL, and the states of the screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import DatabaseError
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import Health, JournalSnapshot, Snapshot
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.reads import RowTotal
from sp500tui.tui.database.metrics import Metric, fitted_sql_lines, metrics, sql_lines
from sp500tui.tui.database.screen import DatabaseScreen
from sp500tui.tui.render.lines import Line, Role, width_of
from sp500tui.tui.shell.price_reader import StoredOverview
from tests.support.parameters import sizes
from tests.support.tui.canned_reader import STATISTICS, CannedReader
from tests.support.tui.fake_pipeline import NOON, FakePipeline, degraded, running
from tests.tui.conftest import Drive, Driven, notes


def text(lines: Sequence[Line]) -> str:
    return "\n".join("".join(span.text for span in line) for line in lines)


def metrics_by_name(
    snapshot: Snapshot | None = None,
    stored: StoredOverview | None = None,
    rates: Sequence[float] = (),
    letters: int | str | None = None,
) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics(snapshot or running(), stored, rates, NOON, letters)}


class TestMetrics:
    def test_each_has_a_value_a_unit_and_an_origin(self) -> None:
        made = metrics_by_name(stored=CannedReader().read_overview(5), rates=(10.0, 38.4))
        words = {name: f"{metric.value} {metric.note}" for name, metric in made.items()}
        assert words["server"] == "✓ PostgreSQL 16.2, embedded "
        assert words["rows"] == "20,871 rows counted"
        assert words["size"] == "4.4 MB on disk, with the key"
        assert words["growth"].startswith("38.4/s rows")
        assert words["symbols"] == "503 with a price"
        assert words["newest trade"] == "17:45:59 1 s ago"
        assert words["connections"].startswith("5 of 100")
        assert words["batch commit"] == "p50 3.1 ms  p95 6.2 ms "
        assert words["journal"] == "52 rows, 7.2 kB of 1.0 GB"
        assert words["dead letters"] == "– none this run"
        assert all(metric.origin.endswith((".", "list")) for metric in made.values())

    def test_before_the_first_result_the_values_are_dashes(self) -> None:
        made = metrics_by_name()
        for name in ("rows", "size", "symbols", "newest trade", "connections", "growth"):
            assert made[name].value == "–"

    def test_an_estimate_is_labelled_and_has_another_origin(self) -> None:
        stored = CannedReader().read_overview(1)
        estimate = replace(stored.statistics, total=RowTotal(2_100_000, exact=False, bytes=1 << 30))
        metric = metrics_by_name(stored=replace(stored, statistics=estimate))["rows"]
        assert metric.value == "about 2,100,000 rows"
        assert metric.note == "estimated"
        assert metric.queries == ("table_size",)

    def test_a_server_without_a_table_size(self) -> None:
        stored = CannedReader().read_overview(1)
        sizeless = replace(stored.statistics, total=RowTotal(5, exact=True, bytes=None))
        assert metrics_by_name(stored=replace(stored, statistics=sizeless))["size"].value == "–"

    def test_problems_are_shown_by_text_and_role(self) -> None:
        away = metrics_by_name(degraded())["server"]
        assert away.value == "✗ PostgreSQL does not answer; next attempt in 3 s"
        assert away.role is Role.BAD
        full = replace(
            running(),
            journal=JournalSnapshot(
                Health.DEGRADED, "the journal is nearly full", 9, 900, 1 << 20, 1 << 21, 0, 40
            ),
            ledger=Ledger(dead=3),
        )
        made = metrics_by_name(full)
        assert made["journal"].note == "the journal is nearly full"
        assert "40 rows of an earlier run to replay" in made["journal"].value
        assert made["dead letters"].note == "3 this run"
        assert made["dead letters"].role is Role.WARN

    @pytest.mark.parametrize(
        ("kept", "refused", "value", "note", "role"),
        [
            (None, 2, "–", "2 this run", Role.WARN),
            ("no [b]", 0, "not counted", "none this run; no [b]", Role.WARN),
            (0, 0, "0 rows", "kept; none this run", Role.VALUE),
            (5, 0, "5 rows", "kept; none this run", Role.WARN),
            (5, 2, "5 rows", "kept; 2 this run", Role.WARN),
        ],
    )
    def test_dead_letters_of_earlier_runs_count_too(
        self, kept: int | str | None, refused: int, value: str, note: str, role: Role
    ) -> None:
        metric = metrics_by_name(replace(running(), ledger=Ledger(dead=refused)), letters=kept)[
            "dead letters"
        ]
        assert (metric.value, metric.note, metric.role) == (value, note, role)

    def test_few_connections_left_is_a_warning(self) -> None:
        stored = CannedReader().read_overview(1)
        tight = replace(stored.statistics, connections=95)
        assert metrics_by_name(stored=replace(stored, statistics=tight))["connections"].role is Role.WARN

    def test_every_query_named_exists(self) -> None:
        for metric in metrics_by_name().values():
            assert set(metric.queries) <= QUERIES.keys()


class TestSql:
    @pytest.mark.parametrize("width", [12, 34, 56, 120])
    def test_it_fits_and_is_the_text_that_is_sent(self, width: int) -> None:
        for metric in metrics_by_name().values():
            lines = sql_lines(metric, QUERIES, width)
            assert {width_of(line) for line in lines} == {width}
            if metric.queries and width > 50:
                shown = "".join(text(lines).split())
                statements = [
                    line for line in QUERIES[metric.queries[0]].splitlines() if not line.startswith("--")
                ]
                assert "".join("".join(statements).split()) in shown

    @pytest.mark.parametrize("width", [20, 34, 56])
    def test_every_line_of_a_comment_is_one(self, width: int) -> None:
        words = "-- the newest row of every symbol, found by a loose scan of the primary key"
        metric = metrics_by_name()["server"]
        shown = text(sql_lines(metric, {"server": f"{words}\nselect 1"}, width)).splitlines()
        wrapped = [line.rstrip() for line in shown[shown.index("".ljust(width)) + 1 : -1]]
        assert len(wrapped) > 1
        assert all(line.startswith("-- ") for line in wrapped)
        assert " ".join(line.removeprefix("-- ") for line in wrapped) == words.removeprefix("-- ")

    @pytest.mark.parametrize("width", [36, 60])
    def test_words_of_the_sql_that_fit_a_line_are_not_split(self, width: int) -> None:
        for metric in metrics_by_name().values():
            whole = {word for name in metric.queries for word in QUERIES[name].split() if len(word) <= width}
            shown = set(text(sql_lines(metric, QUERIES, width)).split())
            assert whole - shown == set()

    @pytest.mark.parametrize("width", [10, 15, 19])
    def test_nothing_of_the_sql_is_lost_in_a_narrow_window(self, width: int) -> None:
        for metric in metrics_by_name().values():
            shown = text(sql_lines(metric, QUERIES, width, comments=False))
            assert "…" not in shown
            whole = "".join(
                line for name in metric.queries for line in QUERIES[name].splitlines() if line[:2] != "--"
            )
            assert "".join(shown.split()).endswith("".join(whole.split()))

    def test_lines_that_do_not_fit_are_counted(self) -> None:
        metric = metrics_by_name()["server"]
        whole, bare = (sql_lines(metric, QUERIES, 40, comments=comments) for comments in (True, False))
        assert "--" in text(whole)
        assert "--" not in text(bare)
        assert fitted_sql_lines(metric, QUERIES, 40, len(whole)) == whole
        assert fitted_sql_lines(metric, QUERIES, 40, len(whole) - 1) == bare
        short = fitted_sql_lines(metric, QUERIES, 40, 5)
        assert short[:4] == bare[:4]
        assert text(short[4:]).startswith(f"… {len(bare) - 4} more lines; y copies the SQL")
        narrow = fitted_sql_lines(metric, QUERIES, 12, 5)
        assert text(narrow[4:]).strip() == f"… {len(sql_lines(metric, QUERIES, 12, comments=False)) - 4} more"

    def test_a_metric_of_the_pipeline_has_no_sql(self) -> None:
        assert "no SQL" in text(sql_lines(metrics_by_name()["journal"], QUERIES, 60))


@asynccontextmanager
async def opened(
    drive: Drive, reader: CannedReader | None = None, **more: Any
) -> AsyncIterator[tuple[Driven, DatabaseScreen, CannedReader]]:
    """The database screen, with its first result if there is one."""
    reader = reader or CannedReader()
    async with drive(**more) as driven:
        screen = DatabaseScreen(reader)
        await driven.app.push_screen(screen)
        if reader.failure is None:
            await driven.until(lambda: screen.stored is not None, "the reading")
        await driven.pilot.pause()
        yield driven, screen, reader


class TestScreen:
    async def test_before_the_database_is_open_the_screen_shows_a_message(self, drive: Drive) -> None:
        async with drive() as driven:
            await driven.press("2")
            assert isinstance(driven.app.screen, DatabaseScreen)
            await driven.until(lambda: "the database is not open yet" in driven.text())
            await driven.press("1")
            assert driven.main.is_current

    async def test_an_error_before_the_first_reading_is_shown_completely(self, drive: Drive) -> None:
        reader = CannedReader()
        words = "the database postgresql://me@db.example:5432/quotes does not answer: no server listens there; start it"
        reader.failure = DatabaseError(words)
        async with opened(drive, reader, size=(80, 24)) as (driven, _, _):
            await driven.until(lambda: words in " ".join(driven.text().split()))

    @pytest.mark.parametrize("size", sizes((80, 24), (200, 60), (120, 40)))
    async def test_metrics_sql_and_rows_are_shown(self, drive: Drive, size: tuple[int, int]) -> None:
        async with opened(drive, size=size) as (driven, _, _):
            await driven.until(lambda: "20,871 rows" in driven.text())
            words = driven.text()
            for part in ("dead letters", "SQL: server", "current_setting", "NVDA", "187.22 USD"):
                assert part in words

    async def test_the_sql_of_the_marked_metric_is_shown(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            await driven.press("down", "j")
            await driven.until(
                lambda: "SQL: size" in driven.text() and "pg_total_relation_size" in driven.text()
            )
            await driven.press("G")
            await driven.until(lambda: "SQL: dead letters" in driven.text() and "no SQL" in driven.text())
            await driven.press("g")
            await driven.until(lambda: "SQL: server" in driven.text())
            await driven.pilot.click("#metrics", offset=(6, 5))
            await driven.until(lambda: "SQL: symbols" in driven.text())

    async def test_y_copies_the_sql(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, _):
            await driven.press("down", "y")
            assert driven.app.clipboard == QUERIES["row_count"].rstrip() + ";"
            await driven.press("end", "y")
            await driven.until(lambda: "has no SQL" in notes(driven.app))

    async def test_growth_is_the_difference_of_two_readings(self, drive: Drive) -> None:
        async with opened(drive) as (driven, screen, reader):
            reader.statistics = replace(
                STATISTICS, taken_at=NOON + timedelta(seconds=2), inserted=(STATISTICS.inserted or 0) + 100
            )
            screen.run_query()
            await driven.until(lambda: "50.0/s" in driven.text())

    async def test_an_empty_table_shows_a_message(self, drive: Drive) -> None:
        reader = CannedReader()
        reader.empty = True
        async with opened(drive, reader) as (driven, _, _):
            await driven.until(lambda: "No prices stored yet" in driven.text())

    async def test_a_database_that_becomes_unavailable_and_recovers(self, drive: Drive) -> None:
        async with opened(drive, pipeline=FakePipeline(running())) as (driven, screen, reader):
            reader.failure = DatabaseError("the database does not answer: [bold]start it")
            screen.run_query()
            await driven.until(lambda: "not read: the database does not answer: [bold]start" in driven.text())
            assert "20,871 rows" in driven.text()
            reader.failure = None
            screen.run_query()
            await driven.until(lambda: "not read" not in driven.text())

    async def test_the_dead_letters_are_those_that_the_command_lists(
        self, drive: Drive, tmp_path: Path
    ) -> None:
        # given two letters of an earlier run in the data folder
        file = Paths.of(Settings(demo=True, data_dir=tmp_path)).dead_letters
        letters = DeadLetters(file)
        letters.add([DeadLetter.of({"symbol": "AAPL"}, "numeric field overflow", "22003")] * 2)
        async with opened(drive) as (driven, screen, _):
            # then both are counted, although this run rejected no row
            await driven.until(lambda: "2 rows  kept; none this run" in driven.text())
            # and the other figures are shown even if the file cannot be read
            file.unlink()
            file.mkdir()
            screen.run_query()
            await driven.until(lambda: "not counted  none this run" in driven.text())
            assert "20,871 rows" in driven.text()

    async def test_the_connection_is_given_back(self, drive: Drive) -> None:
        async with opened(drive) as (driven, _, reader):
            await driven.press("escape")
            await driven.until(lambda: reader.closed)
