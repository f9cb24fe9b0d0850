"""The environment variables of libpq, which configure servers other than the embedded one."""

from __future__ import annotations

import os

from psycopg.pq import Conninfo

from sp500tui.storage.url import NO_PASSFILE

_UNLISTED = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGREQUIRESSL", "PGTZ", "PGDATESTYLE", "PGGEQO")
"""Variables without a connection parameter (PostgreSQL documentation, 32.15)."""


def variable_names() -> list[str]:
    """The names of all variables that libpq reads."""
    listed = [option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar]
    return [*listed, *_UNLISTED]


def clear() -> None:
    """Remove libpq's variables from the environment of this process and of its children.

    Explicit connection parameters are not enough: a PGSERVICE that names an unknown service fails every connection.
    The user's password file is disabled too, because libpq warns about its permissions on stderr.
    """
    for name in variable_names():
        os.environ.pop(name, None)
    os.environ["PGPASSFILE"] = NO_PASSFILE
