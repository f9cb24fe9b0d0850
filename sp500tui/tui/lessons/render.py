"""Rendering of the lessons: the list, and the question, progress or result of the marked lesson."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import NamedTuple

from sp500tui.lessons.catalog import LESSONS
from sp500tui.lessons.lesson import Lesson, Outcome
from sp500tui.lessons.text import figure_rows, prediction_text, verdict
from sp500tui.tui.render.lines import Line, Role, Span, cut, spread, wrapped


class Keys(NamedTuple):
    """The configured keys named in the text."""

    answers: Sequence[str]
    """Keys in the order of the answers."""
    run: str
    stop: str


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a lesson that was run."""

    answer: int | None
    """Index of the predicted answer."""
    outcome: Outcome | None = None
    failure: str = ""
    """Why there is no outcome."""


@dataclass(frozen=True, slots=True)
class Running:
    """The lesson that is being run."""

    lesson: Lesson
    answer: int | None
    step: str
    """The current measurement."""
    seconds: float


def list_lines(results: Mapping[str, Result], running: Running | None, width: int) -> list[Line]:
    """The lessons, each with the state of its result."""
    return [_list_line(lesson, results.get(lesson.name), running, width) for lesson in LESSONS]


def _list_line(lesson: Lesson, result: Result | None, running: Running | None, width: int) -> Line:
    sign, word, role = "○", "", Role.DIM
    if running is not None and running.lesson is lesson:
        sign, word, role = "▶", "running", Role.ACCENT
    elif result is not None and result.outcome is None:
        sign, word, role = "!", "not run", Role.WARN
    elif result is not None and result.outcome is not None:
        seen = result.outcome.effect_seen
        sign, word, role = ("✓", "shown", Role.GOOD) if seen else ("!", "not shown", Role.WARN)
    return spread((Span(f"{sign} ", role), Span(lesson.title)), (Span(word, role),) if word else (), width)


def lesson_lines(
    lesson: Lesson, result: Result | None, running: Running | None, obstacle: str, keys: Keys, width: int
) -> list[Line]:
    """The marked lesson: its question while it can be predicted, what is measured, or the result."""
    if running is not None and running.lesson is lesson:
        return [*_question(lesson, keys, width, running.answer), *_progress(running, keys, width)]
    if result is not None:
        return _result(lesson, result, keys, width)
    lines = _question(lesson, keys, width, None)
    if running is not None:
        return [*lines, *wrapped(f"Wait until “{running.lesson.title}” has ended.", width, Role.LABEL)]
    if obstacle:
        return [*wrapped(f"! {obstacle}", width, Role.WARN), _blank(width), *lines]
    return [
        *lines,
        *wrapped(f"Press the key of your answer, or {keys.run} to run it without one.", width, Role.LABEL),
    ]


def _question(lesson: Lesson, keys: Keys, width: int, chosen: int | None) -> list[Line]:
    answers: list[Line] = []
    indent = max(map(len, keys.answers)) + 2
    for index, (key, answer) in enumerate(zip(keys.answers, lesson.answers, strict=False)):
        role = Role.SELECTED if index == chosen else Role.VALUE
        first, *others = wrap(answer, max(width - indent, 10))
        answers.append(cut((Span(f"{key:<{indent}}", Role.ACCENT), Span(first, role)), width))
        answers += [cut((Span(" " * indent), Span(line, role)), width) for line in others]
    return [*wrapped(lesson.question, width, Role.TITLE), _blank(width), *answers, _blank(width)]


def _progress(running: Running, keys: Keys, width: int) -> list[Line]:
    return [
        *wrapped(running.lesson.change, width),
        _blank(width),
        spread(
            (Span("▶ ", Role.ACCENT), Span(running.step)),
            (Span(f"{running.seconds:.0f} s", Role.LABEL),),
            width,
        ),
        _blank(width),
        *wrapped(f"{keys.stop} stops it; everything it changes is set back.", width, Role.LABEL),
    ]


def _result(lesson: Lesson, result: Result, keys: Keys, width: int) -> list[Line]:
    outcome = result.outcome
    if outcome is None:
        again = f"Press the key of your answer, or {keys.run}, to run it again."
        return [
            *wrapped(f"! {result.failure}", width, Role.WARN),
            _blank(width),
            *_question(lesson, keys, width, result.answer),
            *wrapped(again, width, Role.LABEL),
        ]
    prediction = prediction_text(outcome, result.answer)
    right = result.answer == lesson.correct
    return [
        *(wrapped(prediction, width, Role.GOOD if right else Role.WARN) if prediction else ()),
        *([_blank(width)] if prediction else ()),
        *_figures(outcome, width),
        _blank(width),
        *wrapped(verdict(outcome), width, Role.GOOD if outcome.effect_seen else Role.WARN),
        _blank(width),
        *wrapped(lesson.why, width),
        _blank(width),
        *(line for source in lesson.source for line in wrapped(str(source), width, Role.LABEL)),
        _blank(width),
        *wrapped(f"Measured: {lesson.change}", width, Role.LABEL),
    ]


def _figures(outcome: Outcome, width: int) -> list[Line]:
    return [
        spread((Span(label, Role.LABEL),), (Span(value),), min(width, 72))
        for label, value in figure_rows(outcome)
    ]


def _blank(width: int) -> Line:
    return cut((), width)
