"""Rendering of the lessons: the list, and the question, progress or result of the marked lesson."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

from sp500tui.lessons.catalog import LESSONS
from sp500tui.lessons.lesson import Lesson, Outcome
from sp500tui.lessons.text import figure_rows, prediction_text, verdict
from sp500tui.tui.render.lines import Line, Role, Span, cut, spread

ANSWER_KEYS = "abc"
"""Keys of the answers, in their order."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a lesson that was run has shown."""

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
    """What is being measured."""
    seconds: float


def list_lines(results: Mapping[str, Result], running: Running | None, width: int) -> list[Line]:
    """The lessons, each with the state of its result."""
    return [_list_line(lesson, results.get(lesson.name), running, width) for lesson in LESSONS]


def _list_line(lesson: Lesson, result: Result | None, running: Running | None, width: int) -> Line:
    mark = Span("○ ", Role.DIM)
    if running is not None and running.lesson is lesson:
        mark = Span("▶ ", Role.ACCENT)
    elif result is not None:
        seen = result.outcome is not None and result.outcome.effect_seen
        mark = Span("✓ ", Role.GOOD) if seen else Span("! ", Role.WARN)
    return cut((mark, Span(lesson.title)), width)


def lesson_lines(
    lesson: Lesson, result: Result | None, running: Running | None, obstacle: str, width: int
) -> list[Line]:
    """The marked lesson: its question while it can be predicted, what is measured, or the result."""
    if running is not None and running.lesson is lesson:
        return [*_question(lesson, width, running.answer), *_progress(running, width)]
    if result is not None:
        return _result(lesson, result, width)
    lines = _question(lesson, width, None)
    if running is not None:
        return [*lines, *_paragraph(f"Wait until “{running.lesson.title}” has ended.", width, Role.LABEL)]
    if obstacle:
        return [*_paragraph(f"! {obstacle}", width, Role.WARN), _blank(width), *lines]
    return [
        *lines,
        *_paragraph("Press the key of your answer, or enter to run it without one.", width, Role.LABEL),
    ]


def _question(lesson: Lesson, width: int, chosen: int | None) -> list[Line]:
    answers: list[Line] = []
    for index, (key, answer) in enumerate(zip(ANSWER_KEYS, lesson.answers, strict=False)):
        role = Role.SELECTED if index == chosen else Role.VALUE
        first, *others = wrap(answer, max(width - 3, 10))
        answers.append(cut((Span(f"{key}  ", Role.ACCENT), Span(first, role)), width))
        answers += [cut((Span("   "), Span(line, role)), width) for line in others]
    return [*_paragraph(lesson.question, width, Role.TITLE), _blank(width), *answers, _blank(width)]


def _progress(running: Running, width: int) -> list[Line]:
    return [
        *_paragraph(running.lesson.change, width),
        _blank(width),
        spread(
            (Span("▶ ", Role.ACCENT), Span(running.step)),
            (Span(f"{running.seconds:.0f} s", Role.LABEL),),
            width,
        ),
        _blank(width),
        *_paragraph("x stops it; everything it changes is set back.", width, Role.LABEL),
    ]


def _result(lesson: Lesson, result: Result, width: int) -> list[Line]:
    outcome = result.outcome
    if outcome is None:
        again = "Press the key of your answer, or enter, to run it again."
        return [
            *_paragraph(f"! {result.failure}", width, Role.WARN),
            _blank(width),
            *_question(lesson, width, result.answer),
            *_paragraph(again, width, Role.LABEL),
        ]
    prediction = prediction_text(outcome, result.answer)
    right = result.answer == lesson.correct
    return [
        *(_paragraph(prediction, width, Role.GOOD if right else Role.WARN) if prediction else ()),
        *([_blank(width)] if prediction else ()),
        *_figures(outcome, width),
        _blank(width),
        *_paragraph(verdict(outcome), width, Role.GOOD if outcome.effect_seen else Role.WARN),
        _blank(width),
        *_paragraph(lesson.why, width),
        _blank(width),
        *(cut((Span(str(source), Role.LABEL),), width) for source in lesson.source),
        _blank(width),
        *_paragraph(f"Measured: {lesson.change}", width, Role.LABEL),
    ]


def _figures(outcome: Outcome, width: int) -> list[Line]:
    return [
        spread((Span(label, Role.LABEL),), (Span(value),), min(width, 72))
        for label, value in figure_rows(outcome)
    ]


def _paragraph(text: str, width: int, role: Role = Role.VALUE) -> Sequence[Line]:
    return [cut((Span(line, role),), width) for line in wrap(text, max(width, 10))]


def _blank(width: int) -> Line:
    return cut((), width)
