"""`sp500tui learn`: lists the lessons, or runs one on its own demo and prints the measurements."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from contextlib import ExitStack
from textwrap import wrap

from sp500tui.cli.context import configuration_of, start
from sp500tui.cli.output import as_columns
from sp500tui.config.settings import Settings
from sp500tui.config.whole_numbers import whole_number
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.lessons.catalog import LESSONS, lesson_named
from sp500tui.lessons.lesson import Lesson, Outcome
from sp500tui.lessons.runner import own_bench, run_lesson
from sp500tui.lessons.text import figure_rows, prediction_text, verdict
from sp500tui.logs.standard_streams import write_json, write_message, write_output

_WIDTH = 100


def run(namespace: Namespace) -> int:
    """List the lessons, or run one; the exit code is 1 if its effect was not observed."""
    if getattr(namespace, "demo", None) is False:
        raise ConfigurationError("lessons run on the demo market; leave out --no-demo")
    namespace.demo = True
    lesson = None if namespace.lesson is None else lesson_named(namespace.lesson)
    no_ui = getattr(namespace, "no_ui", False)
    if lesson is None and no_ui:
        raise ConfigurationError("--no-ui runs one lesson; name it, such as `sp500tui learn overlap --no-ui`")
    configuration = configuration_of(namespace)
    as_json = configuration.settings.json_output
    if lesson is None:
        (write_json if as_json else write_output)(_list(as_json=as_json))
        return ExitCode.OK
    if not (no_ui or as_json):
        _require_terminal()
    start(configuration, lambda _: None)
    answer = None if no_ui or as_json else _ask(lesson)
    outcome = _measured(lesson, configuration.settings)
    if as_json:
        write_json(json.dumps(_as_json(outcome)) + "\n")
    else:
        write_output(_result_text(outcome, answer, with_question=no_ui))
    return ExitCode.OK if outcome.effect_seen else ExitCode.INCOMPLETE


def _require_terminal() -> None:
    for name, stream in (("stdin", sys.stdin), ("stdout", sys.stdout)):
        if stream is None or not stream.isatty():
            raise ConfigurationError(
                f"a lesson asks for an answer on a terminal, but {name} is not one; use --no-ui"
            )


def _list(*, as_json: bool) -> str:
    if not as_json:
        rows = [(lesson.name, lesson.title) for lesson in LESSONS]
        return as_columns(rows) + "\nRun one: sp500tui learn LESSON\n"
    return json.dumps([_description(lesson) for lesson in LESSONS], indent=2, ensure_ascii=False) + "\n"


def _description(lesson: Lesson) -> dict[str, object]:
    return {
        "lesson": lesson.name,
        "title": lesson.title,
        "question": lesson.question,
        "answers": lesson.answers,
        "correct": lesson.correct,
        "change": lesson.change,
        "claim": lesson.claim,
        "why": lesson.why,
        "source": [{"file": f"sp500tui/{each.file}", "function": each.function} for each in lesson.source],
    }


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "lesson": outcome.lesson.name,
        "question": outcome.lesson.question,
        "measured": dict(outcome.measured),
        "effect_seen": outcome.effect_seen,
    }


def _measured(lesson: Lesson, settings: Settings) -> Outcome:
    with ExitStack() as stack:
        bench = stack.enter_context(own_bench(lesson, settings, report=write_message))
        return run_lesson(lesson, bench)


def _paragraph(text: str) -> str:
    return "\n".join(wrap(text, _WIDTH)) + "\n"


def _question_text(lesson: Lesson) -> str:
    return f"{lesson.title}\n\n{_paragraph(lesson.question)}\n"


def _ask(lesson: Lesson) -> int | None:
    """Print the question and read the number of an answer; None if the input ends or no answer is chosen."""
    answers = "".join(f"  {number}  {answer}\n" for number, answer in enumerate(lesson.answers, 1))
    write_output(f"{_question_text(lesson)}{answers}\n")
    while True:
        write_output(f"Your prediction (1 to {len(lesson.answers)}, Enter for none): ")
        line = sys.stdin.readline()
        text = line.strip()
        if not text:
            write_output("\n" if not line else "")
            return None
        if (number := whole_number(text, 1, len(lesson.answers))) is not None:
            return number - 1


def _result_text(outcome: Outcome, answer: int | None, *, with_question: bool) -> str:
    lesson = outcome.lesson
    parts = [_question_text(lesson)] if with_question else ["\n"]
    parts += [_paragraph(lesson.change), "\n", as_columns(figure_rows(outcome), frozenset({1})), "\n"]
    if text := prediction_text(outcome, answer):
        parts += [_paragraph(text), "\n"]
    parts += [_paragraph(verdict(outcome)), "\n", _paragraph(lesson.why), "\n"]
    return "".join(parts) + "".join(f"{each}\n" for each in lesson.source)
