"""The services of a pipeline in every front end: its control socket and its recorder."""

from __future__ import annotations

from collections.abc import Callable

from sp500tui.closable import Closable
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.logs import setup as logs
from sp500tui.pipeline.api import PipelineControl
from sp500tui.remote.control_socket import ControlSocket
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.remote.recording.stores import ensure_recordings
from sp500tui.remote.wire import RunFacts


class RunServices(Closable):
    """Claims the data folder when it is made, accompanies a pipeline from `begin`, and ends with the run."""

    def __init__(self, paths: Paths, settings: Settings, *, listens: bool = True) -> None:
        """`listens`: False for a dashboard of a cluster, which is no pipeline of its data folder.

        Raises:
            PipelineRunsError: another pipeline runs on the data folder.
            ConfigurationError: the folder of recordings cannot be created or written.
        """
        if settings.record is not None:
            ensure_recordings(settings.record)
        self._paths = paths
        self._settings = settings
        self._control = ControlSocket(paths.data, settings) if listens else None
        self.recorder: Recorder | None = None
        """Once the pipeline is built."""

    def begin(self, pipeline: PipelineControl, on_viewer: Callable[[], None] = lambda: None) -> None:
        """Answer viewers of this pipeline and record it from now on.

        `on_viewer` is called when a viewer begins to read, and for a recording to files.
        """
        if self._settings.record is not None:
            on_viewer()
        self.recorder = Recorder(
            pipeline,
            RunFacts.of(self._settings),
            logs.current_ring(),
            folder=self._settings.record,
            failures=self._paths.recordings,
        )
        self.recorder.start()
        if self._control is not None:
            self._control.serve(pipeline, on_viewer)

    def close(self) -> None:
        """Record the end, inform the viewers and free the data folder. May be called twice."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None:
            recorder.close()
        if self._control is not None:
            self._control.close()
