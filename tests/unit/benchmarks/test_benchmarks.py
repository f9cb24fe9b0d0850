"""The benchmarks run at a tiny size and report plausible figures; speed is not tested here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.simulator.process import DemoMarket
from tests.benchmarks.__main__ import NAMES, benchmark, kept_figures, main
from tests.benchmarks.cost import dashboard, memory, record, spans, start_up, viewers
from tests.benchmarks.report import document
from tests.benchmarks.report.figures import Figure, Spread
from tests.benchmarks.report.tables import table
from tests.benchmarks.rig import distinct_rows, listed_symbols, many_symbols, public_folder
from tests.benchmarks.scaling import growth
from tests.benchmarks.throughput import back_pressure, budget, end_to_end, history, ingest, refresh

ROWS = distinct_rows(1_006, listed_symbols())


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_folder() as made:
        yield made


def a_figure() -> Figure:
    """A figure with all fields."""
    return Figure(
        "ingest",
        "rows a second",
        "rows/s",
        Spread(90, 100, 110),
        "the same rows",
        {"a | peer": Spread(9, 10, 11)},
        limit=Spread(200, 200, 200),
        limit_name="the server itself",
        ratio=Spread(8.2, 10, 12.2),
        ratio_name="ours : peer",
        goal="≥ 5×",
        met=True,
        note="of <some>",
    )


def test_a_ratio_is_as_wide_as_its_extremes_allow() -> None:
    assert Spread(2, 4, 6).over(Spread(1, 2, 3)) == Spread(2 / 3, 2, 6)
    assert Spread.pairwise([10, 20], [5, 4]) == Spread(2, 3.5, 5)
    assert Spread.of([1]).over(Spread.of([0])).median == math.inf


def test_kept_figures_are_the_ones_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    file.write_text(json.dumps([a_figure().as_json()]))

    assert kept_figures(file) == [a_figure()]
    assert {
        "benchmark",
        "metric",
        "ours",
        "peers",
        "limit",
        "ratio",
        "goal",
        "met",
    } <= a_figure().as_json().keys()


def test_the_table_shows_ours_peers_limit_ratio_and_goal() -> None:
    text = table([a_figure()])

    for words in (
        "100 (90 – 110)",
        "a | peer: 10 (9 – 11)",
        "the server itself: 200",
        "≥ 5×: met",
        "same rows",
    ):
        assert words in text


def test_the_document_takes_tables_and_plots_from_kept_figures(tmp_path: Path) -> None:
    # given
    file, page = tmp_path / "figures.json", tmp_path / "performance.md"
    file.write_text(json.dumps([a_figure().as_json()]))
    page.write_text("before\n<!-- ingest -->\nold\n<!-- /ingest -->\nafter\n")

    # when
    code = main(["--from", str(file), "--write", str(page)])

    # then
    text = page.read_text()
    assert code == 0
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("<!-- /ingest -->\nafter\n")
    assert "| rows a second [rows/s] | 100 (90 – 110) | a / peer: 10 (9 – 11) |" in text
    plot = (tmp_path / "plots" / "ingest.svg").read_text()
    assert plot.count("<rect") == 4
    assert "the server itself" in plot


def test_a_summary_shows_the_most_important_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- summary -->\nold\n<!-- /summary -->\nafter\n")
    metric = "2 writers beside a connection for each row, TCP and a password"

    document.write(page, [a_figure(), replace(a_figure(), metric=metric)])

    rows = [line for line in page.read_text().splitlines() if line.startswith("| rows")]
    assert rows == ["| rows, from the queue to the commit | 100 rows/s | `a / peer`: 10 rows/s | 10× |"]
    assert "old" not in page.read_text()
    assert not (tmp_path / "plots").exists()


def test_a_document_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")

    with pytest.raises(ValueError, match="no place for ingest"):
        document.write(page, [a_figure()])


def test_what_viewers_cost_is_compared_in_turns_and_a_lost_quote_is_a_miss() -> None:
    alone = [viewers.Stretch(100.0, 200.0, 5.0), viewers.Stretch(50.0, 200.0, 5.0)]
    watched = [viewers.Stretch(97.0, 204.0, 6.0), viewers.Stretch(48.5, 206.0, 6.0)]

    kept = viewers.figures(alone, watched, Ledger(fetched=10, stored=8, duplicate=1, dead=1))
    lost = viewers.figures(alone, watched, Ledger(fetched=10, stored=8, duplicate=1))

    assert [figure.met for figure in kept] == [True, True, None, True]
    assert kept[0].ratio == Spread(0.97, 0.97, 0.97)
    assert lost[-1].met is False


@pytest.mark.thorough
def test_moments_of_a_long_recording_are_shown(folder: Path) -> None:
    path = record.long_recording(folder, 1)

    opening, jumps = record.shown_moments(path)

    assert len(opening) == len(jumps) == 20
    assert min(opening + jumps) > 0


def test_every_name_has_a_benchmark_and_a_section() -> None:
    page = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()
    assert all(callable(benchmark(name)) for name in NAMES)
    assert [name for name in NAMES if f"<!-- {name} -->\n" not in page] == []


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])

    assert "no benchmark speed" in capsys.readouterr().err


def test_rows_are_distinct_and_reach_beyond_the_listed_symbols() -> None:
    symbols = many_symbols(1_000)

    assert len(set(symbols)) == 1_000
    assert len({(row.quote.symbol, row.quote.quote_time) for row in distinct_rows(3_000, symbols)}) == 3_000


@pytest.mark.thorough
def test_refresh_answers_every_symbol(demo_market: DemoMarket) -> None:
    kinds = {"ours": ("ours", 503), "limit": ("round-trip", 1)}

    with refresh.clients(kinds, demo_market) as made:
        ours, trip = made["ours"].measure(1, 503), made["limit"].measure(1)

    assert trip.seconds.median < ours.seconds.median < 30
    assert 0 < ours.cpu.median < ours.seconds.median * 2


@pytest.mark.thorough
def test_ingest_stores_every_row(migrated_url: str) -> None:
    assert ingest.ingest(migrated_url, ROWS, 2) > 100


@pytest.mark.processes
def test_the_peers_of_ingest_store_their_rows(migrated_url: str, folder: Path) -> None:
    assert ingest.connection_a_row(migrated_url, ROWS[:3]) > 0
    assert ingest.commit_a_row(migrated_url, ROWS[3:13]) > 0
    assert ingest.executemany(migrated_url, ROWS[13:500]) > 0
    assert ingest.server_copy(migrated_url, ingest.copy_file(folder, ROWS[500:]), 506) > 0


@pytest.mark.thorough
def test_end_to_end_counts_what_is_stored(migrated_url: str, demo_market: DemoMarket) -> None:
    speed = end_to_end.full_speed(migrated_url, listed_symbols()[:100], 0.5, demo_market)
    assert speed.rate > 1
    assert 1 < speed.cost < 1e6


@pytest.mark.thorough
def test_quotes_are_counted_with_and_without_spans(migrated_url: str, demo_market: DemoMarket) -> None:
    turns = spans.in_turns(migrated_url, listed_symbols()[:100], 0.1, demo_market)
    assert len(turns.recorded) == len(turns.unrecorded) >= 1
    assert min(turns.recorded + turns.unrecorded) > 0
    assert turns.spans > turns.quotes / 100 > 0


def test_spans_are_a_share_of_the_time_of_a_quote_and_compared_turn_by_turn() -> None:
    turns = spans.Turns([100.0, 50.0], [99.0, 49.5], spans=40, quotes=100)
    one, share, both = spans.figures(Spread(0.5, 0.5, 3.0), turns)
    assert one.met is True
    assert share.ours.median == pytest.approx(0.3)
    assert (share.met, both.met) == (True, True)
    assert both.ratio is not None
    assert both.ratio.median == pytest.approx(99.0)
    slow = spans.figures(Spread(3.0, 3.0, 3.0), spans.Turns([100.0], [95.0], spans=40, quotes=100))
    assert [figure.met for figure in slow] == [False, False, False]


@pytest.mark.thorough
def test_the_dashboard_costs_something_and_sends_something() -> None:
    shown = dashboard.show("dashboard", 503, 4, 0.5)

    assert 0 < shown.cpu < 200
    assert 0 <= shown.lag_p50 <= shown.lag_p99
    assert shown.kilobytes > 0


@pytest.mark.thorough
def test_the_data_table_shows_the_same() -> None:
    assert dashboard.show("datatable", 503, 4, 0.5).cpu > 0


@pytest.mark.thorough
def test_the_timeline_is_measured_over_the_same_changes() -> None:
    assert dashboard.show("timeline", 503, 4, 0.5).cpu > 0


@pytest.mark.thorough
def test_start_up_measures_when_the_first_price_was_stored(
    migrated_url: str, demo_market: DemoMarket, folder: Path
) -> None:
    with start_up.options(demo_market, folder) as wanted:
        seconds = start_up.first_price([*wanted, "--database", migrated_url, "--symbols", "AAPL"], folder)

    assert 0.1 < seconds < 30


@pytest.mark.processes
def test_memory_distinguishes_bare_python_from_one_with_packages() -> None:
    assert 5 < memory.bare("json") < memory.bare("psycopg") < 200


def test_memory_finds_no_writers_where_there_are_none() -> None:
    assert memory.writer_processes(psutil.Process().pid) == []


def test_growth_compares_the_last_size_with_the_first() -> None:
    figure = growth.figure_of("ingest", "µs a row", {503: [10.0], 5_030: [11.0], 50_300: [12.0]}, "")

    assert figure.ratio == Spread(1.2, 1.2, 1.2)
    assert figure.met is True


@pytest.mark.thorough
def test_under_pressure_nothing_is_lost(migrated_url: str) -> None:
    # when
    reported = back_pressure.pressed(migrated_url, 20_000, 0.6)

    # then
    assert reported["balanced"]
    assert reported["rows"] == reported["ledger"]["stored"] == reported["ledger"]["fetched"]
    figures = {figure.metric: figure for figure in back_pressure.figures_of([reported])}
    assert figures["quotes lost"].ours == Spread(0, 0, 0)


@pytest.mark.processes
def test_the_budget_has_a_positive_share_for_every_step(demo_market: DemoMarket, folder: Path) -> None:
    steps: dict[str, list[float]] = {}

    socket = budget.FromSocket(demo_market, folder)
    quotes = socket.measure(steps)
    socket.close()
    budget.through_memory(steps, ROWS, folder)

    assert len(quotes) == 50
    assert all(min(values) >= 0 for values in steps.values())
    assert {"read JSON", "rows to bytes", "journal", "latest prices"} <= steps.keys()


def test_bars_are_compared_turn_by_turn_without_and_with_the_server() -> None:
    turns = [history.Turn(2.0, 5.0, 50.0, 20.0, 1_000), history.Turn(4.0, 10.0, 60.0, 38.0, 1_000)]
    alone, both = history.costs(turns, symbols=30)
    assert alone.ratio == Spread(15.0, 20.0, 25.0)
    assert alone.met is True
    assert both.ratio == Spread(7.0, 8.5, 10.0)
    assert both.met is None
    assert both.peers == {"yf.download and to_sql": Spread(70.0, 84.0, 98.0)}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(60.0, 600 + 60 * 300, id="the beginning of a frame counts six times an hour, not sixty"),
        pytest.param(600.0, 600 + 6 * 300, id="a whole frame is taken as it is"),
        pytest.param(1200.0, 3 * 400, id="and so are several"),
    ],
)
def test_the_size_of_a_recording_is_extrapolated_to_whole_frames(seconds: float, expected: float) -> None:
    # given a recording of 400 bytes of which 100 are the first block
    assert record.hourly_size(100, 400, seconds) == pytest.approx(expected)
