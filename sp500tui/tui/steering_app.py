"""The keys that act on the pipeline, and the messages that show their effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual.content import Content
from textual.notifications import SeverityLevel
from textual.reactive import var

from sp500tui.config.keys import STEERING
from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import PipelineControl
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.tui.dashboard.screen import MainScreen
from sp500tui.tui.render.formats import clean
from sp500tui.tui.render.labels import STAGE_TITLES
from sp500tui.tui.shell import pipeline_actions
from sp500tui.tui.shell.base_screen import BaseScreen
from sp500tui.tui.shell.dialogs import NumberScreen, QuestionScreen
from sp500tui.tui.time_app import TimeApp

_ENDING = (Phase.DRAINING, Phase.SPOOLING)
_ENDED = (Phase.STOPPED, Phase.FAILED)
_WITHOUT_EFFECT_WHILE_ENDING = frozenset(
    {
        "pipeline.pause",
        "stage.pause",
        "cycle.run",
        "interval.shorter",
        "interval.longer",
        "tour.start",
        "symbol.fetch",
        "coverage.heal",
        "coverage.check",
        "lessons.answer_a",
        "lessons.answer_b",
        "lessons.answer_c",
    }
)
"""Keys that act on cycles or start something; workers can still be scaled, and faults switched off."""
_SEVERITY_SIGNS: Mapping[SeverityLevel, str] = {"information": "", "warning": "! ", "error": "✗ "}


class SteeringApp(TimeApp):
    """Scales and pauses stages, starts cycles, and shows what changed."""

    selected_stage: var[StageName] = var(StageName.PRICE)
    """The target of the scaling keys."""
    refusal = ""
    """Why this dashboard cannot control the pipeline; empty if it can."""

    def offers(self, key_id: str | None) -> bool:
        """Whether a key has an effect now: those that act on the pipeline have none in the past or at its end."""
        return not (key_id in STEERING and (self._refused or key_id in self._without_effect))

    @property
    def _without_effect(self) -> frozenset[str]:
        """The keys that cannot act on a pipeline that ends."""
        phase = self.snapshot.phase
        if phase in _ENDING:
            return _WITHOUT_EFFECT_WHILE_ENDING
        return STEERING if phase in _ENDED else frozenset()

    def refresh_data(self) -> None:
        """Poll the pipeline, and update the key bar where its end has changed which keys have an effect."""
        before = self._without_effect
        super().refresh_data()
        if self._without_effect != before and self.screen_stack:  # empty while the app closes
            self.refresh_bindings()

    @property
    def _refused(self) -> str:
        """Why keys cannot act on the pipeline, ever or in the past; empty if they can."""
        replayed = self.time_controls.replayed
        return self.refusal or (replayed.refusal if replayed is not None else "")

    def offered_key(self, key_id: str) -> str:
        """The first key of a binding as configured, by the binding's id; empty where it has no effect."""
        return self.key_of(key_id) if self.offers(key_id) else ""

    def show_message(self, text: str) -> None:
        """Show the effect of a key on the topmost screen that can show messages."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, MainScreen | BaseScreen):
                if screen.is_mounted:
                    screen.show_message(clean(text))
                else:
                    # A key may arrive before the screen has its panels.
                    screen.call_after_refresh(screen.show_message, clean(text))
                return

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a message where it covers no data, instead of over the panels."""
        del title, timeout
        self.show_message(
            _SEVERITY_SIGNS[severity] + (Content.from_markup(message).plain if markup else message)
        )

    def ask(self, question: str, act: Callable[[], object]) -> None:
        """Ask a question in a dialog and call `act` if the answer is yes."""
        if self._refused:
            self.show_message(self._refused)
            return

        def decide(yes: bool | None) -> None:
            if yes:
                act()

        if not isinstance(self.screen, QuestionScreen):
            self.push_screen(QuestionScreen(question), decide)

    def _run_action(self, action: Callable[[PipelineControl], str]) -> None:
        pipeline = self.feed.pipeline
        if self._refused or pipeline is None:
            self.show_message(self._refused or "The pipeline is still starting")
            return
        try:
            self.show_message(action(pipeline))
        except Sp500tuiError as error:  # of a pipeline in another process
            self.show_message(clean(str(error)))
        self.refresh_data()

    def action_scale(self, change: int) -> None:
        """Add or remove workers of the selected stage."""
        self._run_action(
            lambda pipeline: pipeline_actions.scale(pipeline, self.snapshot, self.selected_stage, change)
        )

    def action_select_stage(self, steps: int) -> None:
        """Select another stage in the order of the data."""
        self.selected_stage = pipeline_actions.neighbour(self.snapshot, self.selected_stage, steps)

    def action_toggle_pause(self) -> None:
        """Pause or resume the intake."""
        key = self.key_of("pipeline.pause")
        self._run_action(lambda pipeline: pipeline_actions.toggle_pause(pipeline, self.snapshot, key))

    def action_ask_workers(self) -> None:
        """Ask for the number of workers of the selected stage and set it."""
        stage = self.selected_stage
        limits = pipeline_actions.worker_limits(self.snapshot, stage)
        if self._refused or limits is None:
            self.show_message(self._refused or pipeline_actions.SCRAPER_STAYS)
            return
        present = self.snapshot.stage(stage).size
        self.push_screen(
            NumberScreen(STAGE_TITLES[stage], limits, present),
            lambda number: self.set_workers(stage, number) if number is not None else None,
        )

    def set_workers(self, stage: StageName, number: int) -> None:
        """Set the number of workers of a stage."""
        self._run_action(
            lambda pipeline: pipeline_actions.set_workers(pipeline, self.snapshot, stage, number)
        )

    def action_toggle_stage_pause(self) -> None:
        """Pause the selected stage after confirmation, or resume it."""
        stage = self.selected_stage

        def toggle() -> None:
            self._run_action(
                lambda pipeline: pipeline_actions.toggle_stage_pause(pipeline, self.snapshot, stage)
            )

        if self.snapshot.stage(stage).paused:
            toggle()
        else:
            self.ask(f"Pause the {STAGE_TITLES[stage]}?", toggle)

    def action_run_cycle(self) -> None:
        """Start a cycle now."""
        self._run_action(pipeline_actions.run_cycle)

    def action_change_interval(self, direction: int) -> None:
        """Shorten or lengthen the interval between cycles."""
        self._run_action(
            lambda pipeline: pipeline_actions.change_interval(pipeline, self.snapshot, direction)
        )

    def action_change_refresh(self, direction: int) -> None:
        """Refresh the screen more or less often."""
        self.refresh_rate = pipeline_actions.step_refresh(self.refresh_rate, direction)
        self.start_refreshing()
        self.show_message(f"refresh rate: {self.refresh_rate:g}/s")
