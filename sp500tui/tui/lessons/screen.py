"""The lessons: a question, a key to predict the answer, and the result of an experiment on the running demo."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll

from sp500tui.errors import Sp500tuiError
from sp500tui.lessons.bench import Bench
from sp500tui.lessons.catalog import LESSONS
from sp500tui.lessons.lesson import Lesson
from sp500tui.lessons.runner import obstacle, run_lesson
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.lessons.render import Keys, Result, Running, lesson_lines, list_lines
from sp500tui.tui.render.formats import clean
from sp500tui.tui.shell.background import run_in_background
from sp500tui.tui.shell.base_screen import LOG, BaseScreen
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorList
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_ANSWERS = "abc"
_ANSWER = Binding.Group("Answer", compact=True)
_SCROLL = Binding.Group("Scroll", compact=True)
_REDRAW = 0.5
"""Seconds between two updates of the progress."""


@dataclass(slots=True)
class _Run:
    """The lesson that is running on a background thread."""

    lesson: Lesson
    answer: int | None
    started: float
    cancel: threading.Event
    step: str = "waiting for the end of the cycle"

    def report(self, step: str) -> None:
        """Called on the lesson's thread."""
        self.step = step

    def shown(self) -> Running:
        return Running(self.lesson, self.answer, self.step, time.monotonic() - self.started)


class LessonsScreen(BaseScreen):
    """The list of lessons and the text of the marked one."""

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("lessons.tcss")]
    BINDING_GROUP_TITLE = "Lessons"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            bind(f"lessons.answer_{key}", f"predict({index})", f"Answer {key}", group=_ANSWER)
            for index, key in enumerate(_ANSWERS)
        ),
        bind("lessons.stop", "stop_lesson", "Stop"),
        bind("lessons.down", "scroll_text(1)", "Scroll down", group=_SCROLL),
        bind("lessons.up", "scroll_text(-1)", "Scroll up", group=_SCROLL),
    ]
    AUTO_FOCUS = "CursorList"

    lessons = getters.query_one(CursorList)
    text = getters.query_one("#lesson", LinesWidget)
    scroll = getters.query_one("#lesson-scroll", VerticalScroll)

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[str, Result] = {}
        self._run: _Run | None = None

    def compose_panels(self) -> ComposeResult:
        """The list, and the text to its right."""
        with Horizontal(id="middle"):
            yield CursorList(id="lessons", classes="panel")
            with VerticalScroll(id="lesson-scroll", classes="panel", can_focus=False):
                yield LinesWidget(id="lesson")

    def on_mount(self) -> None:
        """Update the progress of a running lesson."""
        self.set_interval(_REDRAW, self._draw_progress)

    def on_unmount(self) -> None:
        """Stop the running lesson; its thread resets everything."""
        self.action_stop_lesson()

    @property
    def _marked(self) -> Lesson:
        return LESSONS[self.lessons.cursor]

    def _obstacle(self) -> str:
        """Why the marked lesson cannot be run; empty if it can."""
        if self.replayed is not None:
            return self.replayed.refusal
        return obstacle(self.dashboard.feed.pipeline, self.dashboard.snapshot, self._marked)

    @property
    def _keys(self) -> Keys:
        name = self.dashboard.key_of
        answers = [name(f"lessons.answer_{answer}") for answer in _ANSWERS]
        return Keys(answers, name("list.choose"), name("lessons.stop"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to stop a lesson only while one is running."""
        if action == "stop_lesson":
            return self._run is not None
        return super().check_action(action, parameters)

    # Drawing

    def show_snapshot(self, snapshot: Snapshot) -> None:  # noqa: ARG002  # the obstacle depends on it
        """Show whether the marked lesson can be run."""
        self._draw()

    @on(CursorList.Moved)
    def show_from_the_start(self) -> None:
        """Show the marked lesson from its first line."""
        self.scroll.scroll_home(animate=False)
        self._draw()

    def _draw_progress(self) -> None:
        if self._run is not None:
            self._draw()

    def _draw(self) -> None:
        running = self._run.shown() if self._run is not None else None
        self.lessons.show_rows(list_lines(self._results, running, self.lessons.line_width))
        lesson = self._marked
        width = self.scroll.scrollable_content_region.width
        result = self._results.get(lesson.name)
        lines = lesson_lines(lesson, result, running, self._obstacle(), self._keys, width)
        self.text.styles.height = len(lines)
        self.text.show_lines(lines)
        measured = sum(result.outcome is not None for result in self._results.values())
        set_titles(self.lessons, f"lessons · {measured} of {len(LESSONS)} measured")
        set_titles(self.scroll, lesson.title)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._draw)

    # Actions

    @on(CursorList.Selected)
    def run_without_an_answer(self) -> None:
        """Run the marked lesson."""
        self._start(None)

    def action_predict(self, index: int) -> None:
        """Run the marked lesson with an answer as the prediction."""
        if index < len(self._marked.answers):
            self._start(index)

    def action_stop_lesson(self) -> None:
        """Stop the running lesson."""
        if self._run is not None:
            self._run.cancel.set()

    def action_scroll_text(self, direction: int) -> None:
        """Scroll the text by a page."""
        (self.scroll.scroll_page_down if direction > 0 else self.scroll.scroll_page_up)(animate=False)

    def _start(self, answer: int | None) -> None:
        pipeline, reason = self.dashboard.feed.pipeline, self._obstacle()
        if self._run is not None:
            self.notify(
                f"“{self._run.lesson.title}” is still running; {self._keys.stop} stops it",
                severity="warning",
                markup=False,
            )
        elif pipeline is None or reason:
            self.notify(reason, severity="warning", markup=False)
        else:
            run = self._run = _Run(self._marked, answer, time.monotonic(), threading.Event())
            self.refresh_bindings()
            self._results.pop(run.lesson.name, None)
            self.run_worker(self._follow(run, pipeline), group="lesson", exit_on_error=False)
            self._draw()
            self.call_after_refresh(self._show_progress, run)

    def _show_progress(self, run: _Run) -> None:
        """Scroll to the progress, which is below the question, unless the lesson has ended already."""
        if self._run is run:
            self.scroll.scroll_end(animate=False)

    async def _follow(self, run: _Run, pipeline: PipelineControl) -> None:
        """Run the lesson on a background thread and keep its result."""
        bench = Bench(pipeline=pipeline, report=run.report, cancel=run.cancel)
        try:
            outcome = await run_in_background("lesson", partial(run_lesson, run.lesson, bench))
            result = Result(run.answer, outcome)
        except Sp500tuiError as error:
            result = Result(run.answer, failure=clean(str(error)))
        except Exception as error:  # noqa: BLE001  # shown to the user; its traceback goes to the log
            LOG.error("the lesson %s failed", run.lesson.name, exc_info=error)
            result = Result(run.answer, failure=clean(f"unexpected error: {error}; see the log"))
        self._results[run.lesson.name] = result
        self._run = None
        self.refresh_bindings()
        self.show_from_the_start()
