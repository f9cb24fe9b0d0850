"""The lines of the log panel: filters, search, and equal lines as one entry."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.logs.setup import LogLine
from sp500tui.tui.log.buffer import (
    LEVELS,
    MAX_CHARACTERS,
    LogBuffer,
    contains,
    filter_options,
    matches_filter,
    next_choice,
    next_level,
)
from tests.support.tui.fake_pipeline import NOON

SHOWN = LEVELS[:3]


def line(seq: int, message: str = "all well", level: int = logging.INFO, worker: str = "main") -> LogLine:
    return LogLine(seq, NOON, level, worker, message)


class TestChoices:
    def test_levels_wrap_around(self) -> None:
        assert [next_level(level, 1) for level in LEVELS] == [*LEVELS[1:], LEVELS[0]]
        assert next_level(LEVELS[0], -1) == LEVELS[-1]

    def test_workers_are_offered_by_stage_then_by_name_in_natural_order(self) -> None:
        workers = ["price-10", "main", "price-9", "writer-1"]
        assert filter_options(workers) == ["", "price-", "writer-", "main", "price-9", "price-10", "writer-1"]

    def test_a_filter_on_a_missing_choice_starts_with_the_first(self) -> None:
        assert next_choice(["", "main"], "price-9", 1) == ""
        assert next_choice(["", "main"], "", -1) == "main"

    @pytest.mark.parametrize(
        ("level", "worker", "shown"),
        [
            (logging.INFO, "", True),
            (logging.WARNING, "", True),
            (logging.ERROR, "", False),
            (logging.INFO, "price-", True),
            (logging.INFO, "price-1", False),
            (logging.INFO, "price-11", True),
            (logging.INFO, "writer-", False),
        ],
    )
    def test_what_passes(self, level: int, worker: str, shown: bool) -> None:
        assert matches_filter(line(1, level=logging.WARNING, worker="price-11"), level, worker) is shown


class TestBuffer:
    @given(
        st.lists(st.tuples(st.sampled_from(LEVELS), st.sampled_from(["main", "price-1", "price-2"]))),
        st.integers(1, 20),
        st.sampled_from(SHOWN),
        st.sampled_from(["", "price-", "main"]),
    )
    def test_it_shows_exactly_the_newest_lines_that_pass(
        self, said: list[tuple[int, str]], capacity: int, level: int, worker: str
    ) -> None:
        buffer = LogBuffer(capacity)
        buffer.set_filter(level=level, worker=worker)
        lines = [line(seq, f"message {seq}", level=its, worker=who) for seq, (its, who) in enumerate(said, 1)]
        for each in lines:
            buffer.extend([each])

        shown = [buffer.line(number) for number in range(buffer.first, buffer.end)]

        assert shown == [each for each in lines[-capacity:] if matches_filter(each, level, worker)]
        assert buffer.line(buffer.end) is None
        assert buffer.line(buffer.first - 1) is None

    def test_numbers_stay_while_old_lines_are_dropped(self) -> None:
        buffer = LogBuffer(3)
        buffer.extend([line(1, "a"), line(2, "b"), line(3, "c")])
        before = buffer.line(2)

        buffer.extend([line(4, "d"), line(5, "e")])

        assert buffer.line(2) is before
        assert buffer.first == 2

    def test_a_line_of_a_hundred_thousand_characters_is_cut(self) -> None:
        buffer = LogBuffer()
        buffer.extend([line(1, "x" * 100_000)])
        kept = buffer.line(0)
        assert kept is not None
        assert kept.message == "x" * MAX_CHARACTERS + "…"

    def test_control_and_direction_characters_are_replaced(self) -> None:
        buffer = LogBuffer()
        buffer.extend([line(1, "a\x1b[31mb\u202ec", worker="w\x07")])
        kept = buffer.line(0)
        assert kept is not None
        assert (kept.message, kept.worker) == ("a·[31mb·c", "w·")

    def test_a_search_wraps_around_in_both_directions(self) -> None:
        buffer = LogBuffer()
        buffer.extend([line(1, "one Fox"), line(2), line(3, "two foxes"), line(4)])
        assert buffer.find("fox", 0, 1) == 0
        assert buffer.find("fox", 1, 1) == 2
        assert buffer.find("fox", 3, 1) == 0
        assert buffer.find("fox", 1, -1) == 0
        assert buffer.find("FOX", -1, -1) == 2
        assert buffer.find("hare", 0, 1) is None
        assert buffer.find("", 0, 1) is None
        assert buffer.count("fox") == 2

    def test_errors_are_found_one_after_the_other(self) -> None:
        buffer = LogBuffer()
        assert buffer.find_error(0) is None
        buffer.extend([line(1), line(2, level=logging.ERROR), line(3), line(4, level=logging.CRITICAL)])
        assert [buffer.find_error(start) for start in (0, 2, 4)] == [1, 3, 1]

    def test_a_search_includes_the_worker_name(self) -> None:
        assert contains(line(1, worker="writer-2"), "WRITER")


class TestFolding:
    def shown(self, buffer: LogBuffer) -> list[tuple[str, int]]:
        entries = [buffer.entry(number) for number in range(buffer.first, buffer.end)]
        return [(entry.line.message, entry.count) for entry in entries if entry is not None]

    def test_adjacent_equal_lines_are_one_entry(self) -> None:
        buffer = LogBuffer()
        assert buffer.extend([line(1, "a"), line(2, "a"), line(3, "b"), line(4, "a")]) == 4
        assert self.shown(buffer) == [("a", 2), ("b", 1), ("a", 1)]

    def test_levels_and_stages_are_kept_apart_and_workers_of_a_stage_are_not(self) -> None:
        buffer = LogBuffer()
        buffer.extend(
            [
                line(1, "refused", worker="price-1"),
                line(2, "refused", worker="price-2"),
                line(3, "refused", worker="writer-1"),
                line(4, "refused", logging.ERROR, "writer-1"),
            ]
        )
        assert self.shown(buffer) == [("refused", 2), ("refused", 1), ("refused", 1)]
        entries = [buffer.entry(number) for number in range(3)]
        assert [entry.worker for entry in entries if entry] == ["price-*", "writer-1", "writer-1"]

    def test_cycles_are_folded_whatever_their_numbers_and_other_figures_are_not(self) -> None:
        buffer = LogBuffer()
        buffer.extend(
            line(seq, f"cycle {seq} finished in 0.1{seq} s: fetched {seq * 503:,}") for seq in range(1, 5)
        )
        buffer.extend([line(5, "committed 50 rows"), line(6, "committed 51 rows")])
        assert self.shown(buffer) == [
            ("cycle 4 finished in 0.14 s: fetched 2,012", 4),
            ("committed 50 rows", 1),
            ("committed 51 rows", 1),
        ]

    def test_a_thousand_equal_lines_take_one_number(self) -> None:
        buffer = LogBuffer(100)
        for seq in range(1, 10_001):
            buffer.extend([line(seq, "refused")])
        assert self.shown(buffer) == [("refused", 10_000)]
        entry = buffer.entry(0)
        assert entry is not None
        assert len(buffer.lines_of(entry)) == 100

    def test_an_entry_is_dropped_with_its_newest_line(self) -> None:
        buffer = LogBuffer(3)
        buffer.extend([line(1, "a"), line(2, "a"), line(3, "b"), line(4, "c")])
        assert self.shown(buffer) == [("a", 2), ("b", 1), ("c", 1)]
        buffer.extend([line(5, "d")])
        assert self.shown(buffer) == [("b", 1), ("c", 1), ("d", 1)]
        assert buffer.first == 1

    def test_the_lines_of_an_entry_are_those_that_pass_the_filters(self) -> None:
        buffer = LogBuffer()
        buffer.extend(
            [line(1, "a", worker="main"), line(2, "x", worker="other"), line(3, "a", worker="main")]
        )
        buffer.set_filter(worker="main")
        entry = buffer.entry(0)
        assert entry is not None
        assert [each.seq for each in buffer.lines_of(entry)] == [1, 3]

    @pytest.mark.parametrize(
        ("said", "level", "worker", "words"),
        [
            ([], logging.INFO, "", "No lines yet"),
            ([30] * 3 + [20] * 118, logging.ERROR, "", "no errors; 3 warnings, 118 info hidden"),
            ([30, 20, 10], logging.ERROR, "", "no errors; 1 warning, 1 info, 1 debug hidden"),
            ([20] * 1_200, logging.WARNING, "", "no warnings or errors; 1,200 info hidden"),
            (
                [40, 50],
                logging.INFO,
                "price-",
                "no info, warnings or errors of price; 1 critical error, 1 error hidden",
            ),
        ],
    )
    def test_an_empty_result_names_the_active_filters(
        self, said: list[int], level: int, worker: str, words: str
    ) -> None:
        buffer = LogBuffer()
        buffer.extend(line(seq, level=its) for seq, its in enumerate(said, 1))
        buffer.set_filter(level=level, worker=worker)
        assert buffer.hidden_summary == words

    def test_dropped_lines_are_not_counted_as_hidden(self) -> None:
        buffer = LogBuffer(2)
        buffer.extend([line(1, level=30), line(2), line(3)])
        buffer.set_filter(level=logging.ERROR)
        assert buffer.hidden_summary == "no errors; 2 info hidden"
