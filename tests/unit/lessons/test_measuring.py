"""The results of experiments from their samples: paired durations, requests in progress, the lab's figures."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sp500tui.lessons.bench import Bench
from sp500tui.lessons.experiments import computing
from sp500tui.lessons.experiments.lab import NOT_FOUND, choose, measured_values
from sp500tui.lessons.experiments.littles_law import Observation, request_durations
from sp500tui.lessons.experiments.ordering import shuffled_batches
from sp500tui.lessons.interpreters import Interpreter, find_interpreters
from sp500tui.lessons.lesson import LessonError
from sp500tui.lessons.sample_rows import sample_rows
from sp500tui.lessons.side_by_side import BUDGET, MAX_ROUNDS, MIN_ROUNDS, median_seconds
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport, WorkerSpans
from sp500tui.storage.batch_codec import count, encode
from tests.support.waiting import FakeClock


class TestSideBySide:
    @pytest.mark.parametrize(("seconds", "rounds"), [(0.001, MAX_ROUNDS), (BUDGET, MIN_ROUNDS)])
    def test_the_number_of_rounds_depends_on_their_duration(self, seconds: float, rounds: int) -> None:
        clock, taken = FakeClock(), []

        def way() -> None:
            clock.now += seconds
            taken.append(seconds)

        assert median_seconds({"a": way}, clock=clock) == {"a": pytest.approx(seconds)}
        assert len(taken) == rounds

    def test_a_disturbance_of_some_rounds_does_not_count(self) -> None:
        clock = FakeClock()
        steps = {"a": iter([1.0, 1.0, 9.0] * 20), "b": iter([2.0] * 60)}
        order: list[str] = []

        def way(name: str) -> None:
            clock.now += next(steps[name])
            order.append(name)

        medians = median_seconds({"a": lambda: way("a"), "b": lambda: way("b")}, clock=clock)

        assert medians == {"a": 1.0, "b": 2.0}
        assert order[:4] == ["a", "b", "a", "b"]


class TestObservation:
    def test_the_number_in_progress_is_weighted_by_time(self) -> None:
        observed = Observation()
        for elapsed, in_progress in ((0.5, 4), (1.5, 0)):
            observed.sample(elapsed, in_progress)
        observed.durations = [0.5, 0.25, 0.75]
        assert (observed.in_progress, observed.rate, observed.mean_duration) == (1.0, 1.5, 0.5)

    def test_without_samples_everything_is_zero(self) -> None:
        observed = Observation()
        assert (observed.in_progress, observed.rate, observed.mean_duration) == (0, 0, 0)

    def test_requests_are_the_waits_of_price_workers_that_ended_in_the_time(self) -> None:
        waits = tuple(
            Span(WorkerState.SOURCE, start, start + 0.5, Batches(batch, batch))
            for start, batch in ((7.0, 1), (9.75, 2), (11.0, 3), (12.0, 3), (19.5, 4))
        )
        idle = Span(WorkerState.IDLE, 12.5, 19.5)
        price = WorkerSpans("price-1", StageName.PRICE, 1, 1, (*waits, idle))
        scraper = WorkerSpans("scraper-1", StageName.SCRAPER, 1, 1, waits)
        seen = SpanReport(datetime(2026, 5, 4, tzinfo=UTC), 20.0, 1, (scraper, price))
        # The third one waited twice; the last one is still running when the report is made.
        assert request_durations(seen, 10.0) == [0.5, 1.0]


def report(**changes: object) -> dict[str, object]:
    return {
        "version": "3.11.7",
        "gil": True,
        "sequential": 0.2,
        "threads": 0.2,
        "processes": 0.1,
        "interpreters": None,
    } | changes


class TestLab:
    def test_missing_interpreters_are_named_as_missing(self) -> None:
        values = measured_values({"own": report()})
        assert (values["threads_speedup"], values["processes_speedup"]) == (1.0, 2.0)
        assert values["interpreters_python"] == values["free_threaded_python"] == NOT_FOUND
        assert values["interpreters_speedup"] is values["free_threaded_speedup"] is None

    def test_each_way_is_taken_from_an_interpreter_that_has_it(self) -> None:
        newer = report(version="3.14.0", interpreters=0.1)
        free = report(version="3.14.0", gil=False, threads=0.05)
        values = measured_values({"own": report(), "interpreters": newer, "free_threaded": free})
        assert (values["interpreters_python"], values["interpreters_speedup"]) == ("3.14.0", 2.0)
        assert (values["free_threaded_python"], values["free_threaded_speedup"]) == ("3.14.0", 4.0)

    def test_the_interpreters_are_chosen_by_what_they_can_do(self) -> None:
        own = Interpreter("a", (3, 11), gil=True)
        newer = Interpreter("b", (3, 14), gil=True)
        free = Interpreter("c", (3, 13), gil=False)
        assert choose([own]) == {"own": own}
        assert choose([own, newer, free]) == {"own": own, "interpreters": newer, "free_threaded": free}
        assert choose([newer]) == {"own": newer, "interpreters": newer}


@pytest.mark.processes
class TestFindInterpreters:
    def fake(self, path: Path, answer: str) -> None:
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{answer}\n")
        path.chmod(0o755)

    def test_those_of_the_path_and_of_uv_are_found_and_broken_ones_are_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.fake(tmp_path / "bin" / "python3.14", "echo 3 14 1")
        self.fake(tmp_path / "shims" / "python3.13t", "exit 127")
        self.fake(tmp_path / "uv" / "cpython-3.14.0t" / "bin" / "python3.14t", "echo 3 14 0")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{tmp_path / 'shims'}:/usr/bin:/bin")
        monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
        monkeypatch.setattr("sp500tui.lessons.interpreters.PYTHON", str(tmp_path / "bin" / "python3.14"))

        found = find_interpreters()

        assert Interpreter(str(tmp_path / "bin" / "python3.14"), (3, 14), gil=True) == found[0]
        free = [each for each in found if not each.gil]
        assert [(each.version, each.has_sub_interpreters) for each in free] == [((3, 14), True)]
        assert not [each for each in found if "shims" in each.program]


@pytest.mark.processes
class TestComputing:
    def test_a_process_that_ends_early_is_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        command = ["/bin/sh", "-c", "echo ready"]
        monkeypatch.setattr(computing, "python_command", lambda *_: command)
        with pytest.raises(LessonError, match="a process of the experiment ended early"):
            computing.LESSON.measure(Bench())


def test_the_sample_rows_can_be_written_and_have_different_keys() -> None:
    rows = sample_rows(0, 1000)
    assert count(encode(rows)) == 1000
    assert len({(row.quote.symbol, row.quote.quote_time) for row in rows}) == 1000


def test_every_batch_is_delivered_twice() -> None:
    batches = shuffled_batches(random.Random(1))
    keys = [(row.quote.symbol, row.quote.quote_time) for batch in batches for row in batch]
    assert len(keys) == 2 * len(set(keys)) == 2000
