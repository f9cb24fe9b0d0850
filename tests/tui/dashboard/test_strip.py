"""The pipeline panel has a row for every stage and queue at every size, with strips of the last seconds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import (
    ConstituentsSnapshot,
    Health,
    JournalSnapshot,
    Latency,
    Phase,
    Snapshot,
    WorkerState,
)
from sp500tui.pipeline.core.timing.second_sample import QueueSecond, SecondSample, StageSecond
from sp500tui.tui.recent_seconds import RecentSeconds
from sp500tui.tui.render.lines import Role, width_of
from sp500tui.tui.shell.pipeline_rows import (
    ROWS,
    columns,
    legend,
    panel_title,
    shown_rows,
    stage_at,
    strip_lines,
)
from tests.support.tui.fake_pipeline import (
    NOON,
    degraded,
    draining,
    empty,
    failed,
    queue,
    running,
    second_sample,
    with_history,
)
from tests.support.tui.past_seconds import past_seconds

WIDTH, HEIGHT = 116, 10
SNAPSHOTS = [running(), degraded(), empty(), failed(), draining()]


@functools.cache
def minutes() -> RecentSeconds:
    """The last minutes; drawing does not change them."""
    recent = RecentSeconds()
    recent.extend(past_seconds())
    return recent


def drawn(
    snapshot: Snapshot, width: int = WIDTH, height: int = HEIGHT, recent: RecentSeconds | None = None
) -> list[str]:
    lines = strip_lines(snapshot, recent or minutes(), StageName.PRICE, width, height)
    return ["".join(span.text for span in line) for line in lines]


def row(snapshot: Snapshot, what: object, width: int = WIDTH, recent: RecentSeconds | None = None) -> str:
    rows: list[object] = [*shown_rows(HEIGHT, history=snapshot.has_history)]
    return drawn(snapshot, width, HEIGHT, recent)[rows.index(what)]


def before_strip(snapshot: Snapshot, what: object, width: int = WIDTH) -> str:
    layout = columns(width)
    return row(snapshot, what, width)[: 2 + layout.name + layout.now].strip()


def behind_strip(snapshot: Snapshot, what: object, width: int = WIDTH) -> str:
    return row(snapshot, what, width)[-columns(width).room :].strip()


@settings(max_examples=30)
@given(st.integers(56, 320), st.integers(1, 14))
def test_it_fills_exactly_its_room(width: int, height: int) -> None:
    for snapshot in SNAPSHOTS:
        lines = strip_lines(snapshot, minutes(), StageName.PRICE, width, height)
        assert [width_of(line) for line in lines] == [width] * height


@given(st.integers(56, 320), st.booleans())
def test_the_columns_leave_a_strip_of_at_least_ten_seconds(width: int, with_queues: bool) -> None:
    layout = columns(width, with_queues=with_queues)
    assert 2 + layout.name + layout.now + 1 + layout.strip + layout.room == width
    assert layout.strip >= 10


def test_120_columns_show_a_whole_minute_and_200_two() -> None:
    assert columns(WIDTH).strip == 61
    assert columns(196).strip >= 120


def test_rows_are_in_the_order_of_the_data_however_few() -> None:
    for height in range(1, 12):
        rows = shown_rows(height)
        assert len(rows) == min(height, len(ROWS) - 1)
        assert rows == [each for each in ROWS if each in rows]
        assert StageName.HISTORY not in rows
        assert len(shown_rows(height, history=True)) == min(height, len(ROWS))


def test_the_history_stage_has_a_row_once_it_was_started() -> None:
    seen = with_history(running())
    assert before_strip(seen, StageName.HISTORY).startswith("history ×2")
    assert behind_strip(seen, StageName.HISTORY) == "2.1/s   498 queued"
    assert behind_strip(seen, StageName.HISTORY, 196) == "2.1/s   498 queued, oldest 1 min"
    assert behind_strip(with_history(running(), 0), StageName.HISTORY) == "2.1/s"
    # A click selects it, and the panel has an additional line for it.
    rows = shown_rows(HEIGHT + 1, history=True)
    assert stage_at(rows.index(StageName.HISTORY), HEIGHT + 1, history=True) is StageName.HISTORY
    for width in (60, 80, 120, 200):
        for height in range(1, 14):
            lines = strip_lines(seen, minutes(), StageName.HISTORY, width, height)
            assert [width_of(line) for line in lines] == [width] * height


def test_the_lowest_panel_shows_the_stages() -> None:
    assert shown_rows(3) == [StageName.PRICE, StageName.CONVERTER, StageName.WRITER]
    assert drawn(running(), 60, 3)[0].endswith("50 queued")
    assert [line[-12:].strip() for line in drawn(running(), 80, 4)[:3]] == [
        "50 tickers",
        "0 quotes",
        "52 rows",
    ]


def test_a_queue_shows_its_depth_its_trend_and_the_age_of_its_oldest_item() -> None:
    assert before_strip(running(), QueueName.TICKERS).split(maxsplit=1) == ["tickers", "50 of 2,048"]
    assert behind_strip(running(), QueueName.TICKERS) == "▲ fills   0.4 s old"
    assert behind_strip(running(), QueueName.ROWS) == "▼ drains   0.1 s old"
    assert behind_strip(running(), QueueName.QUOTES) == "empty"
    wide = behind_strip(running(), QueueName.TICKERS, 196)
    assert wide == "▲ fills   0.4 s old"


def full_for(blocked: Sequence[float]) -> RecentSeconds:
    """Seconds in each of which the price worker waited for room in the quotes queue for so long."""
    recent = RecentSeconds()
    recent.extend(
        SecondSample(
            second,
            NOON,
            stages=(
                StageSecond(StageName.PRICE, {WorkerState.BLOCKED: waited, WorkerState.IDLE: 1 - waited}),
            ),
            queues=tuple(
                QueueSecond(name, blocked=waited if name is QueueName.QUOTES else 0.0) for name in QueueName
            ),
        )
        for second, waited in enumerate(blocked, 1)
    )
    return recent


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (78, "held back 50 %"),
        (116, "held back 50 %  1 s old"),
        (196, "held back 100/50/10 % of 1/10/60 s"),
    ],
)
def test_a_queue_shows_for_how_long_it_held_its_producers_back(width: int, shown: str) -> None:
    # given a minute with five last seconds in which the price worker waited for room in the quotes queue
    recent = full_for([0.2] * 5 + [0.0] * 50 + [1.0] * 5)
    snapshot = running()
    full = replace(snapshot.queue(QueueName.QUOTES), ready=12, oldest_age=1.2)
    queues = tuple(full if each.name is full.name else each for each in snapshot.queues)
    layout = columns(width)
    line = row(replace(snapshot, queues=queues), QueueName.QUOTES, width, recent)
    # then it has the shares of the last 1, 10 and 60 s, or only that of 10 s if there is less room
    assert line[-layout.room :].strip() == shown
    assert "held back" not in row(running(), QueueName.ROWS, width, recent)


def test_the_shares_follow_the_newest_second() -> None:
    recent = full_for([1.0] * 20)
    assert list(recent.held_back(QueueName.QUOTES)) == [1.0, 1.0, 1.0]
    recent.extend([second_sample(21)])
    assert recent.held_back(QueueName.QUOTES)[0] == 0.0
    assert list(RecentSeconds().held_back(QueueName.QUOTES)) == [0.0, 0.0, 0.0]


def test_a_queue_shows_how_many_of_its_items_are_leased() -> None:
    # GIVEN eleven workers that request all symbols, of which none has been fetched
    calm = running()
    tickers = replace(calm.queue(QueueName.TICKERS), ready=0, in_flight=503)
    rows = replace(calm.queue(QueueName.ROWS), in_flight=5)
    others = [each for each in calm.queues if each.name not in (QueueName.TICKERS, QueueName.ROWS)]
    snapshot = replace(calm, queues=(tickers, *others, rows))

    # THEN the symbols are requested, and only quotes are in flight, as in the equation
    assert behind_strip(snapshot, QueueName.TICKERS) == "empty, 503 requested"
    assert behind_strip(snapshot, QueueName.QUOTES) == "empty"
    assert "5 in flight" in behind_strip(snapshot, QueueName.ROWS, 200)


@pytest.mark.parametrize("width", [98, 118, 198])
def test_the_legend_names_every_sign_of_a_wait(width: int) -> None:
    words = legend(width)
    assert len(words) < width - 8
    assert all(sign in words for sign in "░▒▓█◔◧◇✗▁▄█")


def test_a_stage_shows_its_workers_its_rate_its_latency_and_its_failures() -> None:
    assert before_strip(running(), StageName.PRICE) == "▸ price   ×8  ●●●●●↻○○"
    assert behind_strip(running(), StageName.PRICE).split() == ["41.2/s", "112", "ms", "3"]
    assert behind_strip(running(), StageName.PRICE, 196).split() == [
        "41.2/s",
        "64",
        "ms",
        "112",
        "ms",
        "3",
        "2",
    ]


@pytest.mark.parametrize(
    ("p95", "oldest", "words"),
    [
        (112.0, None, "112 ms"),
        (112.0, 0.6, "112 ms"),
        (None, None, "– ms"),
        (None, 9.8, ">9 s"),
        (112.0, 12.4, ">12 s"),
        (12_400.0, 2.0, "12.4 s"),
    ],
)
def test_a_lease_that_takes_longer_than_all_finished_ones_is_not_hidden(
    p95: float | None, oldest: float | None, words: str
) -> None:
    stages = tuple(
        replace(stage, latency=Latency(p95=p95), oldest_work=oldest)
        if stage.name is StageName.PRICE
        else stage
        for stage in running().stages
    )
    assert f" {words} " in behind_strip(replace(running(), stages=stages), StageName.PRICE)


def test_figures_are_below_their_titles() -> None:
    titles, price = row(running(), "stage"), row(running(), StageName.PRICE)
    for title, figure in (("rate", "41.2/s"), ("p95 10 s", "112 ms"), ("failed", " 3")):
        assert titles.index(title) + len(title) == price.index(figure) + len(figure)
    assert "−60 s" in titles
    assert "−30 s" in titles
    assert " now " in titles


def test_the_strips_show_the_outage_at_its_seconds() -> None:
    recent = minutes()
    layout, ago = columns(WIDTH), recent.second - 114
    last = WIDTH - layout.room - 1 - ago
    # the writers were busy and the journal grew for the ten seconds before the database was back
    assert row(running(), StageName.WRITER)[last - 9 : last + 1] == "█" * 10
    assert row(running(), "journal")[last] == "▇"
    assert row(running(), "journal")[last + 1] == "·"
    assert row(running(), "events")[last : last + 9] == "▲ db back"
    assert "▼ db down" in row(running(), "events")


def test_a_failure_is_a_cross_in_its_second() -> None:
    assert "✗" in row(running(), StageName.WRITER)
    assert "✗" not in row(running(), StageName.CONVERTER)


def test_without_samples_the_strips_are_blank_and_the_rest_is_there() -> None:
    layout = columns(WIDTH)
    line = row(running(), StageName.PRICE, recent=RecentSeconds())
    assert line[2 + layout.name + layout.now + 1 :][: layout.strip].strip() == ""
    assert "41.2/s" in line


def test_no_row_loses_its_end_at_the_usual_widths() -> None:
    for width in (60, 80, 96, WIDTH, 136, 196):
        for height in (3, 4, 7, HEIGHT):
            for line in drawn(running(), width, height):
                assert "…" not in line


@pytest.mark.parametrize(
    ("change", "signs"),
    [
        ({"size": 9, "alive": 9, "busy": 9}, "●●●●●●●●●"),
        ({"size": 10, "alive": 9, "busy": 5}, "●●●●●○○○○◌"),
        ({"size": 7, "alive": 9, "busy": 4}, "●●●●○○○▽▽"),
        ({"size": 64, "alive": 64, "busy": 32}, "32● 32○"),
        ({"size": 0, "alive": 0, "busy": 0}, "none"),
        ({"paused": True}, "‖ paused"),
    ],
)
def test_the_pool_shows_the_busy_the_leaving_and_the_starting_workers(
    change: dict[str, int], signs: str
) -> None:
    snapshot = running()
    stages = tuple(
        replace(stage, **change) if stage.name is StageName.PRICE else stage  # type: ignore[arg-type]
        for stage in snapshot.stages
    )
    assert before_strip(replace(snapshot, stages=stages), StageName.PRICE).endswith(f" {signs}")


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED, Phase.FAILED])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 10, "alive": 9, "busy": 5}, "●●●●●○○○○"),
        ({"size": 9, "alive": 0, "busy": 0}, "ended"),
        ({"size": 9, "alive": 0, "busy": 0, "paused": True}, "ended"),
    ],
)
def test_workers_that_have_ended_are_not_shown_as_starting(
    phase: Phase, change: dict[str, int], words: str
) -> None:
    stages = tuple(
        replace(stage, **change) if stage.name is StageName.PRICE else stage  # type: ignore[arg-type]
        for stage in running().stages
    )
    snapshot = replace(running(), phase=phase, stages=stages)
    assert before_strip(snapshot, StageName.PRICE).endswith(f" {words}")


def test_workers_that_wait_are_not_shown_as_busy() -> None:
    workers = tuple(
        replace(worker, state=WorkerState.LIMIT) if worker.state is WorkerState.BUSY else worker
        for worker in running().workers
    )
    assert before_strip(replace(running(), workers=workers), StageName.PRICE).endswith("◔◔◔◔◔↻○○")


@pytest.mark.parametrize(
    ("ready", "role", "words"),
    [(10, Role.VALUE, "10 of 100"), (70, Role.WARN, "70 of 100 !"), (95, Role.BAD, "95 of 100 !")],
)
def test_a_filling_queue_is_marked_by_more_than_colour(ready: int, role: Role, words: str) -> None:
    rows = queue(QueueName.ROWS, ready, 100, ready, 1.0, 2.0, 1.0)
    snapshot = replace(running(), queues=(*running().queues[:2], rows))
    lines = strip_lines(snapshot, minutes(), StageName.PRICE, WIDTH, HEIGHT)
    assert next(span.role for span in lines[ROWS.index(QueueName.ROWS)] if "100" in span.text) is role
    assert before_strip(snapshot, QueueName.ROWS).endswith(f"  {words}")


def test_the_selected_stage_is_marked_by_more_than_colour() -> None:
    lines = strip_lines(running(), minutes(), StageName.WRITER, WIDTH, HEIGHT)
    chosen = [span.text.strip() for line in lines for span in line if span.role is Role.SELECTED]
    assert chosen == ["write   ×2"]
    assert ["▸" in line[0].text for line in lines].index(True) == ROWS.index(StageName.WRITER)


def test_the_list_shows_whether_it_is_fresh_or_paused() -> None:
    assert before_strip(running(), StageName.SCRAPER).endswith("✓ 503 listed")
    stale = replace(running(), constituents=ConstituentsSnapshot(Health.DEGRADED, "old list", 503, "cache"))
    assert before_strip(stale, StageName.SCRAPER).endswith("! 503 listed")
    stages = (replace(running().stages[0], paused=True), *running().stages[1:])
    assert before_strip(replace(running(), stages=stages), StageName.SCRAPER).endswith("‖ paused")


@pytest.mark.parametrize(
    ("journal", "now", "figures"),
    [
        (JournalSnapshot(), "0 rows", ""),
        (JournalSnapshot(rows=1, bytes=200), "! 1 row", "200 B"),
        (
            JournalSnapshot(rows=2_515, bytes=400_000, replay_left=30),
            "! 2,515 rows",
            "391 kB, replaying 30 rows",
        ),
    ],
)
def test_the_journal_shows_what_waits_in_it(journal: JournalSnapshot, now: str, figures: str) -> None:
    snapshot = replace(running(), journal=journal)
    assert before_strip(snapshot, "journal").endswith(f"  {now}")
    assert behind_strip(snapshot, "journal") == figures


def test_a_cluster_keeps_its_rows_on_the_broker() -> None:
    assert "on the broker" in row(replace(running(), broker="redis://host"), "journal")


@pytest.mark.parametrize("make", [running, degraded, empty, failed, draining])
def test_clicks_find_stages_and_nothing_else(make: Callable[[], Snapshot]) -> None:
    del make
    for height in (3, 7, HEIGHT):
        rows = shown_rows(height)
        found = [stage_at(y, height) for y in range(-1, height + 2)]
        assert found == [None, *(each if isinstance(each, StageName) else None for each in rows), None, None]


@pytest.mark.parametrize(
    ("size", "in_cluster", "title"),
    [
        ((60, 3), False, "pipeline · last 17 s · rates of 10 s · + − price workers"),
        ((60, 3), True, "pipeline · last 17 s of this node · + − price workers"),
        ((80, 4), False, "pipeline · last 23 s · rate and p95 of 10 s · + − price workers"),
        ((80, 4), True, "pipeline · last 23 s of this node · rate and p95 of 10 s · + − price workers"),
        ((116, 10), False, "pipeline · last 61 s · rates of 10 s · + − price workers"),
    ],
)
def test_the_title_names_the_figures_that_have_no_heading_and_is_never_cut(
    size: tuple[int, int], in_cluster: bool, title: str
) -> None:
    assert panel_title(*size, "+ − price workers", history=False, in_cluster=in_cluster) == title
