"""The demo controls: inject faults and watch the pipeline recover."""

from __future__ import annotations

import asyncio
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
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Snapshot
from sp500tui.tui.demo.effects import effects
from sp500tui.tui.demo.faults import (
    CLEAR,
    KILL_WRITER,
    MOST_STRENGTHS,
    OUTAGE_SECONDS,
    DemoAction,
    FaultOption,
    active,
    adjusted,
    toggled,
    with_strength,
)
from sp500tui.tui.demo.render import (
    control_lines,
    effect_text,
    entries,
    event_lines,
    explanation_lines,
    no_market_reason,
    warning_lines,
    writer_to_kill,
)
from sp500tui.tui.messages import StageSelected
from sp500tui.tui.render.formats import clean, count
from sp500tui.tui.shell.background import run_in_background
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.pipeline_strip import PipelineStrip, scaling_keys
from sp500tui.tui.shell.styles import style_sheet
from sp500tui.tui.widgets.bindings import bind
from sp500tui.tui.widgets.cursor_list import CursorList
from sp500tui.tui.widgets.lines_widget import LinesWidget
from sp500tui.tui.widgets.titles import set_titles

_STRENGTH = Binding.Group("Strength", compact=True)
_DIGITS = Binding.Group("Strength by number", compact=True)
_NOT_RECORDED = "A recording does not contain the faults."
_CORNERS = 4
"""Cells of a frame's lower border that hold no text."""


@dataclass(frozen=True, slots=True)
class MarketState:
    """The demo market's faults."""

    faults: Mapping[str, object]
    counts: Mapping[str, object]
    """Number of times each fault was injected since the start, by its name."""


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The outcome of an action."""

    message: str
    failed: bool = False


class FaultList(CursorList):
    """The list of faults and actions; its keys change the marked fault."""

    BINDING_GROUP_TITLE = "Faults"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("faults.switch", "select", "On/off"),
        bind("faults.weaker", "screen.step_fault(-1)", "Weaker", group=_STRENGTH),
        bind("faults.stronger", "screen.step_fault(1)", "Stronger", group=_STRENGTH),
        *(
            bind(
                f"faults.strength_{digit}",
                f"screen.set_strength({digit})",
                f"Strength {digit}",
                group=_DIGITS,
            )
            for digit in range(MOST_STRENGTHS)
        ),
    ]


class DemoScreen(BaseScreen):
    """The pipeline, the faults with their explanations, and the latest events."""

    CSS_PATH: ClassVar = [style_sheet("base_screen.tcss"), style_sheet("demo.tcss")]
    BINDING_GROUP_TITLE = "Demo controls"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("faults.clear", "clear_faults", "Clear all"),
        bind("faults.kill_writer", "kill_writer", "Kill a writer", show=False),
        bind("faults.stop_database", "stop_database", "Stop database", show=False),
    ]
    AUTO_FOCUS = "FaultList"

    fault_list = getters.query_one(FaultList)
    explanation = getters.query_one("#explanation", LinesWidget)
    strip = getters.query_one(PipelineStrip)
    events = getters.query_one("#events", LinesWidget)

    def __init__(self) -> None:
        super().__init__()
        self._market: MarketState | None = None
        self._changes = asyncio.Lock()
        """Held by a change of the faults, because each begins with the faults that the previous one has set."""

    def compose_panels(self) -> ComposeResult:
        """The pipeline strip, the controls and the events."""
        yield PipelineStrip()
        with Horizontal(id="middle"):
            yield FaultList(id="faults", classes="panel")
            yield LinesWidget(id="explanation", classes="panel")
        yield LinesWidget(id="events", classes="panel")

    def on_mount(self) -> None:
        """Follow the selected stage, which is shared by all screens."""
        self.watch(self.app, "selected_stage", self._select)

    def _select(self, stage: StageName) -> None:
        self.strip.selected = stage

    @on(StageSelected)
    def choose_stage(self, message: StageSelected) -> None:
        """Select the stage that was clicked."""
        self.dashboard.selected_stage = message.stage

    # Queries

    @property
    def _control(self) -> FaultInjector | None:
        pipeline = self.dashboard.feed.pipeline
        return None if pipeline is None else pipeline.demo_market

    def current_query(self) -> Callable[[], object] | None:
        """Read the faults and their counts."""
        control = self._control
        return None if control is None else partial(_read_market, control)

    def show_answer(self, answer: object) -> None:
        """Show the market's state."""
        if isinstance(answer, MarketState):
            self._market, self.failure = answer, ""
            if not active(answer.faults):
                self.dashboard.feed.before_faults = self.dashboard.snapshot
            self.draw_panels()

    def forget_answers(self) -> None:
        """Drop the faults of the previous time."""
        self._market = None

    # Drawing

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show the pipeline and its latest events."""
        self.strip.show(snapshot, self.dashboard.feed.recent_seconds, scaling_keys(self.dashboard))
        now = self.dashboard.clock()
        lines = event_lines(self.dashboard.events, now, *self.events.size)
        self.events.show_lines(lines)
        set_titles(self.events, "latest events")
        self.draw_panels()

    @on(CursorList.Moved)
    def draw_panels(self) -> None:
        """Draw what was read, or the error."""
        faults = self._market.faults if self._market is not None else None
        run = self.dashboard.offered_key("faults.switch")
        self.fault_list.show_rows(control_lines(faults, self.fault_list.line_width, run))
        counts = self._market.counts if self._market is not None else None
        entry = entries()[self.fault_list.cursor]
        width, height = self.explanation.size
        warning = warning_lines(self.failure or self._no_market, width)
        number = len(active(faults)) if faults is not None else 0
        changed = effects(self.dashboard.feed.before_faults, self.dashboard.snapshot) if number else []
        self.explanation.show_lines(
            [*warning, *explanation_lines(entry, counts, width, height - len(warning), changed)]
        )
        effect = effect_text(changed, self.fault_list.size.width - _CORNERS)
        set_titles(self.fault_list, "faults" if faults is None else f"faults ({count(number)} on)", effect)
        set_titles(self.explanation, entry.title)

    @property
    def _no_market(self) -> str:
        """Why there is no demo market; empty if there is one or will be."""
        if self.replayed is not None:
            return _NOT_RECORDED
        return no_market_reason(self.dashboard.snapshot)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._show, self.dashboard.snapshot)

    # Actions

    @on(CursorList.Selected)
    def choose(self) -> None:
        """Switch the marked fault, or run the marked action."""
        entry = entries()[self.fault_list.cursor]
        if not isinstance(entry, DemoAction):
            self._set_faults(lambda faults: toggled(entry, faults))
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
            self._set_faults(lambda faults: adjusted(entry, direction, faults))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let the digits open screens while the marked line is an action, which has no strength."""
        if action == "set_strength" and self.is_mounted:
            return isinstance(entries()[self.fault_list.cursor], FaultOption)
        return super().check_action(action, parameters)

    def action_set_strength(self, digit: int) -> None:
        """Set the marked fault to a strength by its number, 0 for off."""
        entry = entries()[self.fault_list.cursor]
        if not isinstance(entry, FaultOption):
            return
        if digit < len(entry.strengths):
            self._set_faults(lambda faults: with_strength(entry, digit, faults))
        else:
            highest = len(entry.strengths) - 1
            self.notify(f"The strengths of {entry.title} are 1 to {highest}; 0 is off", severity="warning")

    def action_clear_faults(self) -> None:
        """Switch off every fault."""
        self._set_faults(lambda _: {})

    def _set_faults(self, change: Callable[[Mapping[str, object]], dict[str, object]]) -> None:
        control = self._control
        if control is None:
            reason = self._no_market or "The demo market is still starting"
            self.notify(reason, severity="warning")
            return
        self.run_worker(
            self._change_faults(partial(_change, control, change)), group="actions", exit_on_error=False
        )

    async def _change_faults(self, change: Callable[[], object]) -> None:
        async with self._changes:
            await self._act(change)

    def action_kill_writer(self) -> None:
        """Kill the process of one writer after confirmation."""
        pipeline, name = self.dashboard.feed.pipeline, writer_to_kill(self.dashboard.snapshot)
        if pipeline is None or name is None:
            self.notify("This node has no writer to kill", severity="warning")
        else:
            act = partial(_kill_worker, pipeline, name)
            self.dashboard.ask(f"Kill {name} with SIGKILL?", partial(self._run_action, act))

    def action_stop_database(self) -> None:
        """Stop the embedded database for some seconds after confirmation."""
        pipeline = self.dashboard.feed.pipeline
        if pipeline is None:
            self.notify("The pipeline is still starting", severity="warning")
            return
        act = partial(_stop_database, pipeline)
        self.dashboard.ask(f"Stop the database for {OUTAGE_SECONDS:.0f} s?", partial(self._run_action, act))

    def _run_action(self, action: Callable[[], object]) -> None:
        """Run an action on a separate background thread, so that no query cancels it."""
        self.run_worker(self._act(action), group="actions", exit_on_error=False)

    async def _act(self, action: Callable[[], object]) -> None:
        """Show the outcome of an action, and the market's state if the same time is still shown."""
        generation = self._generation
        outcome = await run_in_background("screen-query", partial(_attempt, action))
        if isinstance(outcome, ActionResult):
            self.notify(outcome.message, severity="error" if outcome.failed else "information", markup=False)
        else:
            self.post_message(self.QuerySucceeded(outcome, generation))


def _read_market(control: FaultInjector) -> MarketState:
    """Read the market's state; runs on a background thread."""
    counts = control.statistics().get("faults")
    return MarketState(control.faults(), counts if isinstance(counts, Mapping) else {})


def _attempt(action: Callable[[], object]) -> object:
    """The action's result, or its error; runs on a background thread."""
    try:
        return action()
    except Sp500tuiError as error:
        return ActionResult(clean(str(error)), failed=True)


def _change(
    control: FaultInjector, change: Callable[[Mapping[str, object]], dict[str, object]]
) -> MarketState:
    """Apply `change` to the current faults; runs on a background thread."""
    control.set_faults(**change(control.faults()))
    return _read_market(control)


def _kill_worker(pipeline: PipelineControl, name: str) -> ActionResult:
    """Kill a writer's process; runs on a background thread."""
    if not pipeline.kill_worker(name):
        return ActionResult(f"{name} has no process at the moment; try again", failed=True)
    return ActionResult(f"{name} killed")


def _stop_database(pipeline: PipelineControl) -> ActionResult:
    """Stop the server and wait until it has exited; runs on a background thread."""
    if not pipeline.stop_database(OUTAGE_SECONDS):
        return ActionResult("Only the embedded database can be stopped, not one given by URL", failed=True)
    return ActionResult(f"The database is stopped for {OUTAGE_SECONDS:.0f} s")
