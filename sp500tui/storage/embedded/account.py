"""The operating-system account of the embedded server, and its access to the data directory.

PostgreSQL refuses to run as root. An ordinary user's server runs as that user; root's runs as a separate system
account, which needs access to the data directory; no folder is made accessible to other users for this.
"""

from __future__ import annotations

import logging
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sp500tui.config.child_processes import find_program
from sp500tui.errors import ConfigurationError

_log = logging.getLogger(__name__)

SYSTEM_ACCOUNT = "sp500tui-db"
ROOT_DATA_DIR = "/var/lib/sp500tui"
USERADD = (
    "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
    "--shell", "/usr/sbin/nologin", SYSTEM_ACCOUNT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """The account that runs the server."""

    name: str
    uid: int
    gid: int
    is_other_user: bool
    """Whether the account differs from this process's user; possible for root only."""

    @classmethod
    def of(cls, pgdata: Path) -> Account:
        """The account for this data directory: this user, or for root its owner or the system account.

        Raises:
            ConfigurationError: this user has no name, or the system account cannot be created.
        """
        uid = os.geteuid()
        if uid:
            return cls(_user_name(uid), uid, os.getegid(), is_other_user=False)
        owner = pgdata.stat().st_uid if pgdata.exists() else 0
        entry = passwd_of_owner(owner, pgdata) if owner else _system_account()
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, is_other_user=True)

    def popen_arguments(self) -> dict[str, Any]:
        """Arguments for `subprocess` to run a program as this account."""
        if not self.is_other_user:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": ()}

    @property
    def owner(self) -> tuple[int, int] | None:
        """User and group id to give to files created for the server; None if no change is needed."""
        return (self.uid, self.gid) if self.is_other_user else None

    def chown(self, path: Path) -> None:
        """Make the account the owner of the folder or file."""
        if self.is_other_user:
            os.chown(path, self.uid, self.gid)

    def can_traverse(self, path: Path) -> bool:
        """Whether the account has execute permission on the folder or program."""
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def require_accessible(account: Account, data_dir: Path) -> None:
    """Check that the account can traverse the parents of the data directory, whose modes are never changed.

    Raises:
        ConfigurationError: with the inaccessible folder and the remedy.
    """
    if account.is_other_user:
        for folder in reversed(data_dir.parents):
            if folder.is_dir() and not account.can_traverse(folder):
                raise _not_accessible(account, data_dir, folder)


def grant_traverse(account: Account, data_dir: Path) -> None:
    """Give the account execute (traverse) permission on the data directory.

    Only for a directory of root that is not a home directory: its group becomes that of the account.

    Raises:
        ConfigurationError: the directory belongs to another user.
    """
    require_accessible(account, data_dir)
    if account.can_traverse(data_dir) or not account.is_other_user:
        return
    status = data_dir.stat()
    # Another process of root may be between the two steps below.
    if (
        status.st_uid
        or status.st_gid not in (0, account.gid)
        or any(entry.pw_dir == str(data_dir) for entry in pwd.getpwall())
    ):
        raise _not_accessible(account, data_dir, data_dir)
    os.chown(data_dir, -1, account.gid)
    data_dir.chmod(stat.S_IMODE(status.st_mode) & ~stat.S_IRWXG | stat.S_IXGRP)


def _not_accessible(account: Account, data_dir: Path, folder: Path) -> ConfigurationError:
    return ConfigurationError(
        f"the data directory {str(data_dir)!r} lies in the private folder {str(folder)!r}, which the server's "
        f"account {account.name} may not enter when run by root; use --data-dir {ROOT_DATA_DIR}"
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise ConfigurationError(
            f"the user id {uid} has no name in /etc/passwd, which the embedded database needs; "
            "add one, or use --database with a PostgreSQL URL"
        ) from None


def passwd_of_owner(uid: int, pgdata: Path) -> pwd.struct_passwd:
    """The account of the user who owns a database folder.

    Raises:
        ConfigurationError: the user id has no name.
    """
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise ConfigurationError(
            f"the database folder {str(pgdata)!r} belongs to the user id {uid}, which has no name in /etc/passwd; "
            "run as that user, or choose another folder with --data-dir"
        ) from None


def _system_account() -> pwd.struct_passwd:
    """The account for root's servers, created if missing."""
    found = _passwd_entry(SYSTEM_ACCOUNT)
    if found is not None:
        return found
    useradd = find_program("useradd", system=True) or "/usr/sbin/useradd"
    try:
        result = subprocess.run(
            (useradd, *USERADD), check=False, capture_output=True, stdin=subprocess.DEVNULL
        )
        reason = " ".join(result.stderr.decode(errors="replace").split())[:200]
    except OSError as error:
        reason = f"{useradd}: {error.strerror}"
    # Another process of root may have created it concurrently.
    found = _passwd_entry(SYSTEM_ACCOUNT)
    if found is None:
        raise ConfigurationError(
            f"the system account {SYSTEM_ACCOUNT!r}, as which the embedded database runs for root, could not be "
            f"created ({reason or 'useradd failed'}); run as an ordinary user, or use --database with a PostgreSQL URL"
        )
    _log.warning(
        "created the system account %s (user id %d, without log-in): PostgreSQL refuses to run as root, "
        "so the embedded database runs as this account",
        SYSTEM_ACCOUNT,
        found.pw_uid,
    )
    return found


def _passwd_entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
