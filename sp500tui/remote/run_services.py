"""The services of a pipeline in every front end: its control socket, claimed before it is built, and its recorder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sp500tui.closable import Closable
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError
from sp500tui.logs import setup as logs
from sp500tui.pipeline.api import PipelineControl
from sp500tui.remote.address import Claim, PipelineRunsError
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.remote.recording.stores import ensure_recordings
from sp500tui.remote.server import ControlServer
from sp500tui.remote.wire import RunFacts

_log = logging.getLogger(__name__)


class ControlSocket(Closable):
    """Claims a data folder for one pipeline, and serves its viewers.

    A folder in which no socket can be created costs a warning: the pipeline runs without viewers. Several nodes of a
    cluster may share a data folder; the first one listens.
    """

    def __init__(self, data: Path, settings: Settings) -> None:
        """Claim the data folder.

        Raises:
            PipelineRunsError: another pipeline runs on it.
        """
        self._settings = settings
        self._claim: Claim | None = None
        self._server: ControlServer | None = None
        try:
            self._claim = Claim.take(data)
        except PipelineRunsError as error:
            if settings.broker is None:
                raise
            _log.info("no viewer can attach to this node: %s", error)
        except (ConfigurationError, OSError) as error:
            _log.warning("no viewer can attach to this pipeline: %s", error)

    def serve(self, pipeline: PipelineControl, on_viewer: Callable[[], None] = lambda: None) -> None:
        """Answer viewers and commands from now on; `on_viewer` is called when a viewer begins to read."""
        if self._claim is None:
            return
        try:
            listener = self._claim.listen()
        except OSError as error:
            _log.warning("no viewer can attach to this pipeline: %s", error)
            return
        self._server = ControlServer(
            listener,
            pipeline,
            RunFacts.of(self._settings),
            logs.current_ring(),
            on_viewer=on_viewer,
            renew=self._claim.renew,
        )
        self._server.start()

    def close(self) -> None:
        """Close every connection and release the data folder. May be called twice."""
        server, self._server = self._server, None
        claim, self._claim = self._claim, None
        if server is not None:
            server.close()
        if claim is not None:
            with suppress(OSError):
                claim.release()


class RunServices(Closable):
    """Claims the data folder when it is created, serves a pipeline from `begin`, and ends with the run."""

    def __init__(self, paths: Paths, settings: Settings, *, listens: bool = True) -> None:
        """`listens`: False for a dashboard of a cluster, which is not the pipeline of its data folder.

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
        """Available once the pipeline is built."""

    def begin(self, pipeline: PipelineControl, on_viewer: Callable[[], None] = lambda: None) -> None:
        """Start answering viewers of this pipeline and recording it.

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
        """Record the end, inform the viewers and release the data folder. May be called twice."""
        recorder, self.recorder = self.recorder, None
        if recorder is not None:
            recorder.close()
        if self._control is not None:
            self._control.close()
