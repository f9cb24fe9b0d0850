"""The command `learn`: the list, the question, the result, and refusals."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

import pytest

from sp500tui.cli import main as cli
from sp500tui.cli.commands import learn
from sp500tui.errors import DatabaseError, ExitCode
from sp500tui.lessons.bench import Bench
from sp500tui.lessons.catalog import LESSONS
from sp500tui.lessons.lesson import Value


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Value]], None]:
    """Let the lesson `overlap` measure these values, without starting anything."""

    @contextmanager
    def bench(*_: object, report: Callable[[str], None], **__: object) -> Iterator[Bench]:
        report("measuring")
        yield Bench(report=report)

    def prepare(values: dict[str, Value]) -> None:
        overlap = replace(LESSONS[0], measure=lambda _: values)
        monkeypatch.setattr(learn, "lesson_named", lambda _: overlap)
        monkeypatch.setattr(learn, "own_bench", bench)

    return prepare


FAST: dict[str, Value] = {"one_worker_seconds": 3.0, "twelve_workers_seconds": 0.5, "speedup": 6.0}
SLOW: dict[str, Value] = {"one_worker_seconds": 3.0, "twelve_workers_seconds": 2.0, "speedup": 1.5}


class TestList:
    def test_the_lessons_are_listed_with_their_titles(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["learn"]) == ExitCode.OK
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[:11]] == [lesson.name for lesson in LESSONS]
        assert lines[-1] == "Run one: sp500tui learn LESSON"

    def test_as_json_each_has_its_question_answers_and_source(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["learn", "--json"]) == ExitCode.OK
        lessons = json.loads(capsys.readouterr().out)
        assert [each["lesson"] for each in lessons] == [lesson.name for lesson in LESSONS]
        first = lessons[0]
        assert first["question"] == LESSONS[0].question
        assert first["answers"][first["correct"]] == "several times as fast"
        assert first["source"][0] == {
            "file": "sp500tui/pipeline/stages/fetcher.py",
            "function": "FetchTask.run_once",
        }


class TestHeadless:
    def test_the_result_is_one_json_object(
        self, measuring: Callable[[dict[str, Value]], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        measuring(FAST)
        assert cli.main(["learn", "overlap", "--no-ui", "--json"]) == ExitCode.OK
        captured = capsys.readouterr()
        assert json.loads(captured.out) == {
            "lesson": "overlap",
            "question": LESSONS[0].question,
            "measured": FAST,
            "effect_seen": True,
        }
        assert captured.err == "sp500tui: measuring\n"

    def test_an_effect_that_was_not_seen_is_exit_code_1(
        self, measuring: Callable[[dict[str, Value]], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        measuring(SLOW)
        assert cli.main(["learn", "overlap", "--no-ui", "--json"]) == ExitCode.INCOMPLETE
        assert json.loads(capsys.readouterr().out)["effect_seen"] is False

    def test_without_json_the_result_is_text_with_the_question(
        self, measuring: Callable[[dict[str, Value]], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        measuring(FAST)
        assert cli.main(["learn", "overlap", "--no-ui"]) == ExitCode.OK
        text = capsys.readouterr().out
        assert text.startswith("Waiting overlaps\n\nThe source answers each request")
        assert "a cycle with 12 price workers        0.50 s\n" in text
        assert text.endswith("sp500tui/pipeline/core/worker_pool.py · WorkerPool.scale\n")

    def test_a_demo_that_does_not_start_is_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(*_: object, **__: object) -> NoReturn:
            raise DatabaseError("the embedded database did not start: no space left")

        monkeypatch.setattr(learn, "own_bench", broken)
        assert cli.main(["learn", "overlap", "--no-ui", "--json"]) == ExitCode.DATABASE
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == "sp500tui: the embedded database did not start: no space left\n"


class TestTerminal:
    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            ("3\n", "Your prediction is right: several times as fast."),
            ("7\nx\n１\n1\n", "You predicted: not at all: Python runs one thread at a time."),
            ("\n", None),
            ("", None),
        ],
    )
    def test_the_question_is_asked_and_compared(
        self,
        measuring: Callable[[dict[str, Value]], None],
        monkeypatch: pytest.MonkeyPatch,
        typed: str,
        expected: str | None,
    ) -> None:
        measuring(FAST)
        out = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(["learn", "overlap"]) == ExitCode.OK
        text = out.getvalue()
        assert "  3  several times as fast\n" in text
        shown = [
            line for line in text.splitlines() if line.startswith(("Your prediction is", "You predicted"))
        ]
        assert [line[: len(expected or "")] for line in shown] == ([expected] if expected else [])
        assert text.count("Enter for none): ") == max(1, len(typed.splitlines()))

    @pytest.mark.parametrize("name", ["stdin", "stdout"])
    def test_without_a_terminal_the_remedy_is_named(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setattr(sys, name, io.StringIO())
        assert cli.main(["learn", "overlap"]) == ExitCode.USAGE
        assert f"{name} is not one; use --no-ui" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("overlp", "unknown lesson 'overlp'; did you mean overlap?"),
        ("nonsense --no-ui --json", "unknown lesson 'nonsense'; `sp500tui learn` lists the lessons"),
        ("--no-ui", "--no-ui runs one lesson; name it"),
        ("--no-ui --json", "--no-ui runs one lesson; name it"),
        ("overlap --no-demo --no-ui", "leave out --no-demo"),
        ("overlap batch", "unknown argument batch"),
        ("overlap --no-ui --jso", "did you mean --json?"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(line: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["learn", *line.split()]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err
