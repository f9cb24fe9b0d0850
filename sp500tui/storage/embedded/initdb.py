"""Creation of the data directory of the embedded server, and its socket directory."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.storage.embedded.account import Account
from sp500tui.storage.embedded.binaries import MAJOR_VERSION
from sp500tui.storage.embedded.process import SOCKET_NAME

_MAX_SOCKET_PATH = 103
"""Maximum length of a socket path in bytes on every system: 107 on Linux, 103 on macOS."""
INITDB_OPTIONS = (
    "--auth=peer",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
_ERROR_LINE = re.compile(r"\b(?:FATAL|PANIC|ERROR|error):\s+(?P<reason>\S.*)")
_PG_HBA = "# Only the owner of this directory, authenticated by the operating system.\nlocal all all peer map=owner\n"


def create(pgdata: Path, account: Account, programs: Path, role: str) -> None:
    """Create the data directory if it is missing, atomically.

    Raises:
        ConfigurationError: the directory cannot be written.
        DatabaseError: initdb failed.
    """
    if (pgdata / "PG_VERSION").exists():
        return
    partial = pgdata.with_name("pgdata.partial")
    try:
        if pgdata.exists():
            pgdata.rmdir()
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        account.chown(partial)
        _run_initdb(programs / "initdb", partial, account, role)
        (partial / "pg_hba.conf").write_text(_PG_HBA, "utf-8")
        owners = "".join(f"owner {name} {role}\n" for name in sorted({account.name, "root"}))
        (partial / "pg_ident.conf").write_text(owners, "utf-8")
        partial.rename(pgdata)
    except OSError as error:
        raise ConfigurationError(
            f"the database folder {str(pgdata)!r} cannot be created: {error.strerror}; "
            "free disk space, or choose another with --data-dir"
        ) from None


def check_data_dir(pgdata: Path) -> None:
    """Check that this user can read the data directory and that its PostgreSQL version matches.

    Raises:
        ConfigurationError: with the remedy.
    """
    try:
        version = (pgdata / "PG_VERSION").read_text("utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"the database folder {str(pgdata)!r} cannot be read: {error.strerror}; "
            "run as its owner, or choose another with --data-dir"
        ) from None
    if version != str(MAJOR_VERSION):
        raise ConfigurationError(
            f"the database folder {str(pgdata)!r} was created by PostgreSQL {version[:20]}, not {MAJOR_VERSION}; "
            "choose another with --data-dir, or move its data with pg_upgrade"
        )


def socket_folder(pgdata: Path, account: Account) -> Path:
    """The private directory of the server's socket: the data directory, or a temporary one if its path is too long.

    A path with a comma also requires a temporary one, since libpq reads it as two hosts.

    Raises:
        ConfigurationError: the temporary directory belongs to another user.
    """
    if len(os.fsencode(pgdata / SOCKET_NAME)) <= _MAX_SOCKET_PATH and "," not in str(pgdata):
        return pgdata
    name = hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"sp500tui-{account.uid}-{name}"
    if len(os.fsencode(folder / SOCKET_NAME)) > _MAX_SOCKET_PATH:
        folder = Path("/tmp") / folder.name  # noqa: S108
    try:
        folder.mkdir(mode=0o700)
        account.chown(folder)
    except FileExistsError:
        pass
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != account.uid or status.st_mode & 0o077:
        raise ConfigurationError(
            f"the folder {str(folder)!r} for the database's socket belongs to another user; "
            "choose a data directory with a shorter path by --data-dir"
        )
    return folder


def _run_initdb(program: Path, pgdata: Path, account: Account, role: str) -> None:
    result = subprocess.run(
        [str(program), "-D", str(pgdata), "-U", role, *INITDB_OPTIONS],
        cwd="/",
        env={"LC_ALL": "C", "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        umask=0o077,
        check=False,
        text=True,
        errors="replace",
        start_new_session=True,
        **account.popen_arguments(),
    )
    if result.returncode:
        raise DatabaseError(
            f"the embedded database could not be created in {str(pgdata)!r}: {initdb_error(result.stderr)}; "
            "check the folder and its disk, or name another with --data-dir DIR"
        )


def initdb_error(output: str) -> str:
    """The error among the lines that initdb prints: the last ones report the cleanup, not the reason."""
    lines = output.strip().splitlines() or ["no error message"]
    found = next(filter(None, map(_ERROR_LINE.search, lines)), None)
    return (found["reason"] if found else lines[-1])[:300]
