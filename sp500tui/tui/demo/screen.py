"""The demo controls: let things go wrong and watch the pipeline cope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import FaultInjector, PipelineControl
from sp500tui.pipeline.core.snapshot import Snapshot, StageName
from sp500tui.tui.demo.faults import CLEAR, KILL_WRITER, DemoAction, active, adjusted, toggled
from sp500tui.tui.demo.render import (
    control_lines,
    entries,
    event_lines,
    explanation_lines,
    no_market,
    trouble_lines,
    writer_to_kill,
)
from sp500tui.tui.messages import StageSelected
from sp500tui.tui.render.cursor_list import CursorList
from sp500tui.tui.render.formats import clean, plural
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.titles import set_titles
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.pipeline_strip import PipelineStrip
from sp500tui.tui.shell.styles import style_sheet

_STRENGTH = Binding.Group("Strength", compact=True)
AWAY = 10.0
"""Seconds that the database is stopped for."""


@dataclass(frozen=True, slots=True)
class MarketAnswer:
    """What the demo market says of its faults."""

    faults: Mapping[str, object]
    happened: Mapping[str, object]
    """How often each happened since its start, by its name."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an act."""

    words: str
    failed: bool = False


class FaultList(CursorList):
    """The list of faults and acts; its keys change the marked one."""

    BINDING_GROUP_TITLE = "Faults"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space", "select", "On/off", id="faults.switch", tooltip="Switch the marked fault, or do the act"
        ),
        Binding(
            "left,h",
            "screen.step_fault(-1)",
            "Weaker",
            key_display="←",
            group=_STRENGTH,
            id="faults.weaker",
            tooltip="The marked fault a step weaker",
        ),
        Binding(
            "right,l",
            "screen.step_fault(1)",
            "Stronger",
            key_display="→",
            group=_STRENGTH,
            id="faults.stronger",
            tooltip="The marked fault a step stronger",
        ),
    ]


class DemoScreen(BaseScreen):
    """Faults on the left, what to watch for beside them, the pipeline and its last events below."""

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("demo.tcss")]
    BINDING_GROUP_TITLE = "Demo controls"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "clear_faults", "Clear all", id="faults.clear", tooltip="Switch every fault off"),
        Binding(
            "K",
            "kill_writer",
            "Kill a writer",
            show=False,
            id="faults.kill_writer",
            tooltip=KILL_WRITER.what + " Press twice.",
        ),
        Binding(
            "D",
            "stop_database",
            "Stop database",
            show=False,
            id="faults.stop_database",
            tooltip="Stop the embedded PostgreSQL for ten seconds; press twice",
        ),
    ]
    AUTO_FOCUS = "FaultList"

    fault_list = getters.query_one(FaultList)
    explanation = getters.query_one("#explanation", LinesWidget)
    strip = getters.query_one(PipelineStrip)
    events = getters.query_one("#events", LinesWidget)

    def __init__(self) -> None:
        super().__init__()
        self._market: MarketAnswer | None = None
        self._trouble = ""

    def compose_panels(self) -> ComposeResult:
        """The controls above what they do to the pipeline."""
        yield PipelineStrip()
        with Horizontal(id="middle"):
            yield FaultList(id="faults", classes="panel")
            yield LinesWidget(id="explanation", classes="panel")
        yield LinesWidget(id="events", classes="panel")

    def on_mount(self) -> None:
        """Follow the app's selected stage, which the scaling keys act on."""
        self.watch(self.app, "selected_stage", self._select)

    def _select(self, stage: StageName) -> None:
        self.strip.selected = stage

    @on(StageSelected)
    def choose_stage(self, message: StageSelected) -> None:
        """Select the stage that was clicked."""
        self.dashboard.selected_stage = message.stage

    # Asking

    @property
    def _control(self) -> FaultInjector | None:
        pipeline = self.dashboard.feed.pipeline
        return None if pipeline is None else pipeline.demo_market

    def question(self) -> Callable[[], object] | None:
        """What goes wrong now, and how often it has."""
        control = self._control
        return None if control is None else partial(_look, control)

    @on(BaseScreen.QuerySucceeded)
    def show_answer(self, message: BaseScreen.QuerySucceeded) -> None:
        """Draw what the market says, or tell what was done."""
        if isinstance(message.answer, MarketAnswer):
            self._market, self._trouble = message.answer, ""
            self._draw()
        elif isinstance(message.answer, Done):
            done = message.answer
            self.notify(done.words, severity="error" if done.failed else "information", markup=False)

    @on(BaseScreen.QueryFailed)
    def show_refusal(self, message: BaseScreen.QueryFailed) -> None:
        """Say why the market's state is not known."""
        self._trouble = message.reason
        self._draw()

    # Drawing

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show how the pipeline copes."""
        self.strip.show(snapshot, tell_trouble=self.status.size.height < 3)
        now = self.dashboard.clock()
        lines = event_lines(self.dashboard.events, now, *self.events.size)
        self.events.show_lines(lines)
        set_titles(self.events, "last events")
        self._draw()

    @on(CursorList.Moved)
    def _draw(self) -> None:
        faults = self._market.faults if self._market is not None else None
        self.fault_list.show_rows(control_lines(faults, self.fault_list.line_width))
        happened = self._market.happened if self._market is not None else None
        entry = entries()[self.fault_list.cursor]
        width, height = self.explanation.size
        trouble = trouble_lines(self._trouble or no_market(self.dashboard.snapshot), width)
        self.explanation.show_lines(
            [*trouble, *explanation_lines(entry, happened, width, height - len(trouble))]
        )
        on_now = len(active(faults)) if faults is not None else 0
        set_titles(self.fault_list, f"faults · {plural(on_now, 'fault')} on")
        set_titles(self.explanation, entry.title)

    def on_resize(self) -> None:
        """Lay everything out for the new size."""
        self.call_after_refresh(self._show, self.dashboard.snapshot)

    # Keys

    @on(CursorList.Selected)
    def choose(self) -> None:
        """Switch the marked fault, or do the marked act."""
        entry = entries()[self.fault_list.cursor]
        if not isinstance(entry, DemoAction):
            self._set(lambda faults: toggled(entry, faults))
        elif entry is CLEAR:
            self.action_clear_faults()
        elif entry is KILL_WRITER:
            self.action_kill_writer()
        else:
            self.action_stop_database()

    def action_step_fault(self, direction: int) -> None:
        """Make the marked fault stronger or weaker."""
        entry = entries()[self.fault_list.cursor]
        if not isinstance(entry, DemoAction):
            self._set(lambda faults: adjusted(entry, direction, faults))

    def action_clear_faults(self) -> None:
        """Switch every fault off."""
        self._set(lambda _: {})

    def _set(self, change: Callable[[Mapping[str, object]], dict[str, object]]) -> None:
        control = self._control
        if control is None:
            words = no_market(self.dashboard.snapshot) or "the demo market is still starting"
            self.notify(words, severity="warning")
            return
        self._do(partial(_change, control, change))

    def action_kill_writer(self) -> None:
        """Kill one writer's process once that is confirmed."""
        pipeline, name = self.dashboard.feed.pipeline, writer_to_kill(self.dashboard.snapshot)
        if pipeline is None or name is None:
            self.notify("there is no writer to kill here", severity="warning")
        elif not self.dashboard.confirm("kill a writer"):
            return
        elif pipeline.kill_worker(name):
            self.notify(f"{name} killed", markup=False)
        else:
            self.notify(f"{name} has no process at this moment: try again", severity="warning", markup=False)

    def action_stop_database(self) -> None:
        """Stop the embedded database for a while once that is confirmed."""
        pipeline = self.dashboard.feed.pipeline
        if pipeline is None:
            self.notify("the pipeline is still starting", severity="warning")
            return
        if self.dashboard.confirm(f"stop the database for {AWAY:.0f} s"):
            self._do(partial(_stop_database, pipeline))

    def _do(self, act: Callable[[], object]) -> None:
        """Carry something out on a background thread of its own, so that no reading cancels it."""
        self.run_worker(self._fetch(partial(_attempt, act)), group="acting", exit_on_error=False)


def _look(control: FaultInjector) -> MarketAnswer:
    """Ask the market; runs on a background thread."""
    happened = control.statistics().get("faults")
    return MarketAnswer(control.faults(), happened if isinstance(happened, Mapping) else {})


def _attempt(act: Callable[[], object]) -> object:
    """The act's result, or why there is none; runs on a background thread."""
    try:
        return act()
    except Sp500tuiError as error:
        return Done(clean(str(error)), failed=True)


def _change(
    control: FaultInjector, change: Callable[[Mapping[str, object]], dict[str, object]]
) -> MarketAnswer:
    """Set the faults that `change` makes of the present ones; runs on a background thread."""
    control.set_faults(**change(control.faults()))
    return _look(control)


def _stop_database(pipeline: PipelineControl) -> Done:
    """Stop the server; runs on a background thread, for it takes until the server is gone."""
    if not pipeline.stop_database(AWAY):
        return Done("only the embedded database can be stopped from here, not one by URL", failed=True)
    return Done(f"the database is stopped for {AWAY:.0f} s")
