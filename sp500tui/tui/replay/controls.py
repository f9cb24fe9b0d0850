"""The time that a dashboard shows: the present of its pipeline, or a time of a recording."""

from __future__ import annotations

from collections.abc import Callable

from sp500tui.pipeline.api import PipelineControl
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from sp500tui.remote.recording.replay import ReplayedPipeline
from sp500tui.tui.render.formats import span

STEP = 5.0
"""Seconds by which the keys step through the last minutes of a live dashboard."""
MINUTE = 60.0
_PRESENT = "This is the present"


class TimeControls:
    """Moves through a recording. Each action returns a message, empty if the time bar shows its effect.

    Args:
        recent: The last minutes of the live pipeline; None before anything is recorded.
        replayed: The recording that is shown from the start; None for a live dashboard.
    """

    def __init__(
        self, recent: Callable[[], Recording | None], replayed: ReplayedPipeline | None = None
    ) -> None:
        self._recent = recent
        self._is_replay = replayed is not None
        self.replayed = replayed
        """The recording shown; None at the present."""

    @property
    def is_replay(self) -> bool:
        """Whether there is no present to return to."""
        return self._is_replay

    def shown(self, live: PipelineControl | None) -> PipelineControl | None:
        """The pipeline to show."""
        return self.replayed if self.replayed is not None else live

    def step(self, direction: int) -> str:
        """Go one moment of a replay, or some seconds of the last minutes, backward (-1) or forward (+1)."""
        if self._is_replay:
            return self._move(lambda recording, at: recording.step(at, direction), direction)
        return self._move(lambda _, at: at + direction * STEP, direction)

    def minute(self, direction: int) -> str:
        """Go one minute backward or forward."""
        return self._move(lambda _, at: at + direction * MINUTE, direction)

    def event(self, direction: int) -> str:
        """Go to the previous or next event."""
        return self._jump(Recording.next_event, direction, "event")

    def error(self, direction: int) -> str:
        """Go to the previous or next error."""
        return self._jump(Recording.next_error, direction, "error")

    def begin(self) -> str:
        """Go to the first moment."""
        return self._move(lambda recording, _: recording.first, -1)

    def end(self) -> str:
        """Return to the present, or go to the last moment of a replay."""
        if self._is_replay:
            return self._move(lambda recording, _: recording.last, 1)
        self.replayed = None
        return ""

    def play(self) -> str:
        """Play or pause a replay."""
        if self.replayed is not None:
            playback = self.replayed.playback
            (playback.pause if playback.playing else playback.play)()
        return ""

    def speed(self, direction: int) -> str:
        """Play a replay more slowly (-1) or faster (+1)."""
        if self.replayed is not None:
            self.replayed.playback.change_speed(direction)
        return ""

    def _jump(self, find: Callable[[Recording, float, int], float | None], direction: int, what: str) -> str:
        """Move to the time found; stay if there is none."""
        missing: list[str] = []

        def target(recording: Recording, at: float) -> float:
            found = find(recording, at, direction)
            if found is None:
                missing.append(f"no {'earlier' if direction < 0 else 'later'} {what} is recorded")
            return at if found is None else found

        was_present = self.replayed is None
        message = self._move(target, direction)
        if missing and was_present:
            self.replayed = None
        return missing[0] if missing else message

    def _move(self, target: Callable[[Recording, float], float], direction: int) -> str:
        """Move the time shown; from the present, into the last minutes."""
        if self.replayed is None:
            if direction > 0:
                return _PRESENT
            recording = self._recent()
            if recording is None or recording.last - recording.first <= 0:
                return "Nothing is recorded yet; try again in a few seconds"
            playback = Playback(recording.first, recording.last)
            playback.seek(recording.last)
            self.replayed = ReplayedPipeline(
                recording,
                playback,
                refusal="This is the past: return to the present first",
                no_database="the past of the database is not recorded; return to the present to query it",
            )
        playback = self.replayed.playback
        playback.pause()
        before = playback.at
        at = target(self.replayed.recording, before)
        if at >= playback.last and not self._is_replay and direction > 0:
            self.replayed = None
            return "Back at the present"
        playback.seek(at)
        if self._is_replay and playback.at == before:
            return "The recording ends here" if direction > 0 else "The recording begins here"
        if at < playback.first:
            return f"Nothing earlier is recorded ({span(playback.last - playback.first)})"
        return ""
