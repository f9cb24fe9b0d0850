"""The table of what each stage spent its time on."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.tui.render.lines import Line, Role, width_of
from sp500tui.tui.workers.stage_times import COLUMNS, WIDTH, stage_line, titles_line


def text(line: Line) -> str:
    return "".join(span.text for span in line)


def shares(seconds: Mapping[WorkerState, float]) -> list[str]:
    return text(stage_line(StageName.PRICE, seconds, WIDTH)).removeprefix("price workers").split(" %")[:-1]


def test_every_state_is_in_one_column() -> None:
    assert sorted(state for _, states in COLUMNS for state in states) == sorted(WorkerState)


@given(st.dictionaries(st.sampled_from(WorkerState), st.floats(0.001, 60), min_size=1))
def test_the_shares_add_up_and_are_below_their_titles(seconds: Mapping[WorkerState, float]) -> None:
    line, titles = stage_line(StageName.PRICE, seconds, WIDTH), titles_line("last 60 s", WIDTH)
    assert (width_of(line), width_of(titles)) == (WIDTH, WIDTH)
    percent = [float(part.replace("<1", "0")) for part in shares(seconds)]
    assert len(percent) == len(COLUMNS)
    assert abs(sum(percent) - 100) <= len(COLUMNS) / 2
    for end, (title, _) in zip(ends(text(titles)), COLUMNS, strict=True):
        assert text(titles)[:end].endswith(title)
        assert text(line)[:end].endswith(" %")


def ends(titles: str) -> list[int]:
    """The last cell of each column title."""
    found, at = [], len("last 60 s")
    for title, _ in COLUMNS:
        at = titles.index(title, at) + len(title)
        found.append(at)
    return found


def test_a_share_that_is_rounded_to_nothing_is_not_shown_as_nothing() -> None:
    spent = {WorkerState.IDLE: 59.9, WorkerState.BACKOFF: 0.1}
    assert [part.strip() for part in shares(spent)] == ["0"] * 7 + ["<1"] + ["0"] * 2 + ["100", "0"]


def test_a_stage_without_workers_has_spent_no_time() -> None:
    assert {span.role for span in stage_line(StageName.WRITER, {}, WIDTH)[1:]} == {Role.DIM}
