"""The folders and files of the program: data, journal, cache, logs and configuration, each private to its owner."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import platformdirs

from sp500tui.errors import ConfigurationError

if TYPE_CHECKING:
    from sp500tui.config.settings import Settings

_APP = "sp500tui"
_ROOT_DATA = Path("/var/lib/sp500tui")
"""The embedded server of a root session runs as another user, who cannot enter root's home."""
_NAME_DATA = "name another with --data-dir DIR"
_PRIVATE = 0o700
_PASSABLE = 0o711


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders and files of one run. The live and the demo market share only logs and configuration."""

    base: Path
    """Parent of the data of both markets."""
    data: Path
    """The data of this market: `<base>/live` or `<base>/demo`, with the embedded server's folder."""
    journal: Path
    """Folder."""
    dead_letters: Path
    """File, JSON lines."""
    recordings: Path
    """Folder of the recordings of failed runs."""
    cache: Path
    """Folder; it can be deleted without losing data."""
    embedded: bool = True
    """Whether the data folder contains an embedded server."""
    warnings: tuple[str, ...] = ()
    """One for each default folder that cannot be used, with the one used in its place."""

    @classmethod
    def of(cls, settings: Settings) -> Paths:
        """The paths that these settings lead to; creates nothing.

        The cache is below the data folder if the home directory is unknown or the user's cache folder cannot be
        written.

        Raises:
            ConfigurationError: no data folder is named and the home directory is unknown, or a relative one is named
                and the current directory was deleted.
        """
        base = _absolute(settings.data_dir or default_data_folder())
        market = "demo" if settings.demo else "live"
        data = base / market
        cache = user_folder("cache")
        warning = None
        if cache is not None and not _can_be_written(cache / market):
            warning = (
                f"cache folder {cache} cannot be written; the cache is kept in {base / 'cache'}; "
                "set XDG_CACHE_HOME to a folder that can be written"
            )
            cache = None
        return cls(
            base=base,
            data=data,
            journal=data / "journal",
            dead_letters=data / "dead-letters.jsonl",
            recordings=data / "recordings",
            cache=(cache or base / "cache") / market,
            embedded=settings.database is None,
            warnings=(warning,) if warning else (),
        )

    def prepare(self) -> None:
        """Create the folders for data, journal and cache.

        Raises:
            ConfigurationError: one of them cannot be created or written.
        """
        root = os.geteuid() == 0
        if self.embedded:
            self._refuse_undecodable()
        if root and self.embedded:
            self._refuse_private_parent()
        for folder in (self.base, self.data):
            ensure_folder(folder, "data folder", _NAME_DATA, _PASSABLE if root else _PRIVATE)
        ensure_folder(self.journal, "journal folder", _NAME_DATA)
        self.prepare_cache()

    def _refuse_undecodable(self) -> None:
        """Check that the path is text: PostgreSQL's URL names it, and would lead elsewhere otherwise."""
        try:
            str(self.base).encode()
        except UnicodeEncodeError:
            raise ConfigurationError(
                f"data folder {str(self.base)!a} is not text in the encoding of the locale; set LC_ALL to a locale "
                f"with UTF-8, or {_NAME_DATA}"
            ) from None

    def _refuse_private_parent(self) -> None:
        """Check that root's embedded server, which runs as another user, can reach the data; nothing is created yet."""
        for folder in reversed(self.base.parents):
            # Path.is_dir raises for a path that is too long; os.path does not.
            if os.path.isdir(folder) and not folder.stat().st_mode & stat.S_IXOTH:  # noqa: PTH112
                raise ConfigurationError(
                    f"data folder {self.base} lies in the private folder {folder}, which the embedded server's "
                    f"account may not enter when root runs it; name another, such as --data-dir {_ROOT_DATA}"
                )

    def prepare_cache(self) -> None:
        """Create only the cache folder, for commands that store no data."""
        remedy = "set XDG_CACHE_HOME to a folder that can be written"
        if self.base in self.cache.parents:
            remedy = f"{_NAME_DATA}, or {remedy}"
            ensure_folder(self.base, "data folder", remedy, _PASSABLE if os.geteuid() == 0 else _PRIVATE)
        ensure_folder(self.cache.parent, "cache folder", remedy)
        ensure_folder(self.cache, "cache folder", remedy)


def user_folder(kind: Literal["cache", "config", "data", "log", "state"]) -> Path | None:
    """The user's folder for this program's files of one kind; None if the home directory is unknown."""
    try:
        folder = Path(getattr(platformdirs, f"user_{kind}_dir")(_APP, appauthor=False))
    except RuntimeError:
        return None
    # Some versions return "~/…" or the result of a relative HOME.
    return folder if folder.is_absolute() else None


def default_data_folder() -> Path:
    """The data folder when none is named; root has one outside its home.

    Raises:
        ConfigurationError: the home directory is unknown.
    """
    folder = _ROOT_DATA if os.geteuid() == 0 else user_folder("data")
    if folder is None:
        raise unknown_home("give --data-dir DIR and --log-file FILE")
    return folder


def default_log_folder() -> Path:
    """The folder of `app.log` and `errors.log`.

    Raises:
        ConfigurationError: the home directory is unknown.
    """
    folder = user_folder("log")
    if folder is None:
        raise unknown_home("give --log-file FILE")
    return folder


def current_folder() -> Path | None:
    """The current directory; None if it was deleted or cannot be reached."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _absolute(folder: Path) -> Path:
    if not folder.is_absolute() and current_folder() is None:
        raise ConfigurationError(
            f"data folder {folder} lies in the current directory, which no longer exists; "
            "change to another directory, or give the path in full"
        )
    return folder.absolute()


def unknown_home(remedy: str) -> ConfigurationError:
    """The error for a default path that cannot be derived; `remedy` is the alternative to setting HOME."""
    return ConfigurationError(
        f"the home directory is unknown: HOME is not set to an absolute path, and user id {os.getuid()} has no "
        f"home in the user database; set HOME, or {remedy}"
    )


def _can_be_written(folder: Path) -> bool:
    """Whether the folder, or the nearest of its parents that exists, is a folder that this user may write to."""
    # Path.exists raises below a folder that cannot be read; os.path does not.
    nearest = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    return os.path.isdir(nearest) and os.access(nearest, os.W_OK | os.X_OK, effective_ids=True)  # noqa: PTH112


def ensure_folder(folder: Path, kind: str, remedy: str, mode: int = _PRIVATE) -> None:
    """Create `folder` with `mode`, and its parents; an existing folder keeps its mode.

    Raises:
        ConfigurationError: with kind, folder, reason and remedy.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        created = not folder.is_dir()
        folder.mkdir(mode=mode, exist_ok=True)
        if created:
            folder.chmod(mode)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{kind} {folder} cannot be created: {reason}; {remedy}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"{kind} {folder} cannot be written: Permission denied; {remedy}")
