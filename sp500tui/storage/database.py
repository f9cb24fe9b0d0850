"""The database in use: the embedded server, or a server given by URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sp500tui.closable import Closable
from sp500tui.errors import ConfigurationError
from sp500tui.logs.redaction import redact_url
from sp500tui.storage.url import check_url

if TYPE_CHECKING:
    from sp500tui.storage.embedded.server import EmbeddedServer


class Database(Closable):
    """The embedded server of a data directory, or a PostgreSQL server given by URL."""

    def __init__(self, url: str, server: EmbeddedServer | None) -> None:
        self.url = url
        self.masked_url = redact_url(url)
        self.embedded = server is not None
        self._server = server

    @classmethod
    def open(cls, url: str | None, data_dir: Path) -> Database:
        """Validate the URL without connecting; without a URL, start the embedded server.

        Raises:
            ConfigurationError: the URL is malformed or the data directory cannot be used.
            DatabaseError: the embedded server does not start.
        """
        if url is not None:
            check_url(url)
            return cls(url, None)
        from sp500tui.storage.embedded.server import EmbeddedServer

        server = EmbeddedServer.start(data_dir)
        return cls(server.url, server)

    @staticmethod
    def exists(url: str | None, data_dir: Path) -> bool:
        """Whether there is a database to open: a URL, or an embedded server's data in this folder.

        Raises:
            ConfigurationError: the folder belongs to another user.
        """
        if url is not None:
            return True
        try:
            (data_dir / "pgdata" / "PG_VERSION").stat()
        except PermissionError:
            raise ConfigurationError(
                f"data folder {data_dir} belongs to another user; run as its owner, or name another with --data-dir DIR"
            ) from None
        except OSError:
            return False
        return True

    def ensure_alive(self) -> bool:
        """Restart the embedded server if it has died; returns whether it was restarted.

        Raises:
            DatabaseError: the server does not start.
        """
        return self._server is not None and self._server.restart_if_dead()

    def stop_server(self) -> bool:
        """Stop the embedded server to demonstrate a fault; False for a database by URL."""
        if self._server is None:
            return False
        self._server.shut_down()
        return True

    def close(self, *, keep_running: bool = False) -> None:
        """Release the database; its last user stops the embedded server, unless `keep_running`."""
        if self._server is not None:
            self._server.stop(keep_running=keep_running)
