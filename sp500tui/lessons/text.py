"""A lesson and its result as plain text."""

from __future__ import annotations

from sp500tui.lessons.lesson import Figure, Outcome, Value


def value_text(figure: Figure, value: Value) -> str:
    """A measured value with its unit: `12,345 rows/s`."""
    if value is None:
        return "not measured"
    if isinstance(value, str):
        return value
    text = f"{value:,.{figure.digits}f}"
    return f"{text} {figure.unit}" if figure.unit else text


def figure_rows(outcome: Outcome) -> list[tuple[str, str]]:
    """Label and value of each figure, in the order of the lesson."""
    return [
        (figure.label, value_text(figure, outcome.measured.get(figure.name)))
        for figure in outcome.lesson.figures
    ]


def verdict(outcome: Outcome) -> str:
    """Whether the measurement shows the claim, in one sentence."""
    if outcome.effect_seen:
        return f"Shown by this measurement: {outcome.lesson.claim}"
    return (
        f"Not shown by this measurement: {outcome.lesson.claim} Try again while the machine is less busy; it needs two "
        "processor cores."
    )


def prediction_text(outcome: Outcome, answer: int | None) -> str:
    """How the prediction compares with the correct answer; empty without a prediction."""
    lesson = outcome.lesson
    if answer is None:
        return ""
    if answer == lesson.correct:
        return f"Your prediction is right: {lesson.answers[answer]}."
    return f"You predicted: {lesson.answers[answer]}. The answer is: {lesson.answers[lesson.correct]}."
