"""The lessons as data: names, answers, figures, sources, and the conditions of their effects."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sp500tui
from sp500tui.errors import ConfigurationError
from sp500tui.lessons.catalog import LESSONS, lesson_named
from sp500tui.lessons.lesson import Lesson, Measured, Outcome, Source
from sp500tui.lessons.text import figure_rows, prediction_text, verdict

PACKAGE = Path(sp500tui.__file__).parent

SEEN: dict[str, dict[str, float | str | None]] = {
    "overlap": {"one_worker_seconds": 3.0, "twelve_workers_seconds": 0.5, "speedup": 6.0},
    "computing": {"threads_speedup": 1.0, "processes_speedup": 1.8},
    "back-pressure": {
        "capacity": 200,
        "bounded_items": 200,
        "bounded_oldest_seconds": 0.2,
        "producer_blocked_seconds": 1.3,
        "unbounded_items": 11_000,
        "unbounded_oldest_seconds": 1.3,
    },
    "littles-law": {
        "fast_predicted": 2.7,
        "fast_in_progress": 2.6,
        "slow_predicted": 6.1,
        "slow_in_progress": 5.9,
    },
    "batch": {"single_rows_per_second": 1_000.0, "batched_rows_per_second": 40_000.0},
    "connections": {"connection_a_row_rows_per_second": 100.0, "one_connection_rows_per_second": 900.0},
    "kill-writer": {
        "killed": 4,
        "restarts": 4,
        "fetched": 1006,
        "stored": 348,
        "lost": 0,
        "rows_added": 698,
        "rows_twice": 0,
        "latest_missing": 0,
    },
    "killed-consumer": {
        "trials": 4,
        "items_a_trial": 20,
        "queue_trials_blocked": 3,
        "pipe_trials_blocked": 0,
        "pipe_items_received": 80,
    },
    "retry-storm": {
        "without_breaker": 900,
        "with_breaker": 13,
        "circuit_opened": "yes",
        "circuit_closed_afterwards": "yes",
    },
    "ordering": {
        "rows_sent": 2000,
        "rows_stored": 1000,
        "rows_twice": 0,
        "wrong_by_arrival": 50,
        "wrong_by_time": 0,
    },
    "lab": {"threads_speedup": 1.1, "processes_speedup": 1.7, "interpreters_speedup": None},
}
"""Measurements that show each claim."""

NOT_SEEN: list[tuple[str, dict[str, float | str | None]]] = [
    ("overlap", {"twelve_workers_seconds": 1.3}),
    ("computing", {"threads_speedup": 1.9}),
    ("computing", {"processes_speedup": 1.05}),
    ("back-pressure", {"bounded_items": 260}),
    ("back-pressure", {"producer_blocked_seconds": 0.0}),
    ("back-pressure", {"unbounded_items": 220}),
    ("back-pressure", {"unbounded_oldest_seconds": 0.1}),
    ("littles-law", {"slow_in_progress": 3.0, "slow_predicted": 3.0}),
    ("littles-law", {"fast_predicted": 4.0}),
    ("littles-law", {"slow_predicted": 9.0}),
    ("batch", {"batched_rows_per_second": 3_000.0}),
    ("connections", {"one_connection_rows_per_second": 120.0}),
    ("kill-writer", {"lost": 1}),
    ("kill-writer", {"rows_twice": 1}),
    ("kill-writer", {"latest_missing": 2}),
    ("kill-writer", {"restarts": 3}),
    ("kill-writer", {"killed": 0}),
    ("kill-writer", {"rows_added": 300}),
    ("kill-writer", {"rows_added": 1007}),
    ("killed-consumer", {"queue_trials_blocked": 0}),
    ("killed-consumer", {"pipe_trials_blocked": 1}),
    ("killed-consumer", {"pipe_items_received": 79}),
    ("retry-storm", {"with_breaker": 0}),
    ("retry-storm", {"without_breaker": 40}),
    ("retry-storm", {"circuit_opened": "no"}),
    ("retry-storm", {"circuit_closed_afterwards": "no"}),
    ("ordering", {"rows_stored": 1001}),
    ("ordering", {"wrong_by_time": 1}),
    ("ordering", {"wrong_by_arrival": 0}),
    ("lab", {"threads_speedup": 1.9}),
    ("lab", {"processes_speedup": 1.0}),
]
"""Measurements that refute each claim."""

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


def test_there_are_ten_lessons_and_the_lab_with_different_names() -> None:
    names = [lesson.name for lesson in LESSONS]
    assert len(set(names)) == len(names) == 11
    assert names[-1] == "lab"


@each_lesson
def test_a_lesson_has_a_question_with_answers_of_which_one_is_correct(lesson: Lesson) -> None:
    assert lesson.question.endswith("?")
    assert 2 <= len(set(lesson.answers)) == len(lesson.answers) <= 9
    assert 0 <= lesson.correct < len(lesson.answers)
    for text in (lesson.title, lesson.question, lesson.change, lesson.claim, lesson.why, *lesson.answers):
        assert text
        assert "\n" not in text


def functions_of(file: Path) -> set[str]:
    """The qualified names of the classes and functions of a source file."""

    def names(node: ast.AST, prefix: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + child.name
                yield from names(child, f"{prefix}{child.name}.")

    return set(names(ast.parse(file.read_text("utf-8")), ""))


@pytest.mark.parametrize(
    "source", sorted({source for lesson in LESSONS for source in lesson.source}, key=str), ids=str
)
def test_the_code_that_a_lesson_names_exists(source: Source) -> None:
    assert source.function in functions_of(PACKAGE / source.file)


@each_lesson
def test_the_effect_follows_from_what_was_measured(lesson: Lesson) -> None:
    seen: Measured = SEEN[lesson.name]
    assert Outcome(lesson, seen).effect_seen
    assert not Outcome(lesson, {}).effect_seen
    assert set(seen) <= {figure.name for figure in lesson.figures}


@pytest.mark.parametrize(("name", "change"), NOT_SEEN)
def test_the_effect_is_not_seen_where_the_measurement_contradicts_it(
    name: str, change: dict[str, float | str | None]
) -> None:
    assert not Outcome(lesson_named(name), SEEN[name] | change).effect_seen


def test_every_claim_has_measurements_that_contradict_it() -> None:
    assert {name for name, _ in NOT_SEEN} == {lesson.name for lesson in LESSONS}


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("overlp", "did you mean overlap?"), ("Batch", "did you mean batch?"), ("xyz", "lists the lessons")],
)
def test_an_unknown_lesson_is_refused_with_a_suggestion(name: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown lesson '{name}'.*{remedy}"):
        lesson_named(name)


def test_the_result_as_text_has_every_figure_with_its_unit() -> None:
    outcome = Outcome(lesson_named("batch"), SEEN["batch"] | {"ratio": 40.0})
    assert figure_rows(outcome) == [
        ("1 row a commit", "1,000 rows/s"),
        ("500 rows a commit", "40,000 rows/s"),
        ("times as many", "40.0 ×"),
    ]
    assert verdict(outcome).startswith("Shown by this measurement: Batches of 500 rows")


def test_what_could_not_be_measured_is_reported() -> None:
    outcome = Outcome(lesson_named("lab"), {"interpreters_python": "not measured: …"})
    rows = dict(figure_rows(outcome))
    assert rows["Python with sub-interpreters"] == "not measured: …"
    assert rows["speed-up by sub-interpreters"] == "not measured"
    assert verdict(outcome).startswith("Not shown by this measurement: ")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, ""),
        (2, "Your prediction is right: several times as fast."),
        (
            0,
            "You predicted: not at all: Python runs one thread at a time. The answer is: several times as fast.",
        ),
    ],
)
def test_a_prediction_is_compared_with_the_answer(answer: int | None, text: str) -> None:
    assert prediction_text(Outcome(lesson_named("overlap"), {}), answer) == text
