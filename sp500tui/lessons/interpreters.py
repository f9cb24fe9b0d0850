"""Finds other Python interpreters on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sp500tui.config.child_processes import PYTHON, find_program, isolated_command

_NAMES = ("python3.14t", "python3.14", "python3.13t")
"""Interpreters that can do what this one may not: sub-interpreters (3.14) or threads without a lock (t)."""
_PROBE = "import sys; print(*sys.version_info[:2], int(getattr(sys, '_is_gil_enabled', lambda: True)()))"
_PROBE_LIMIT = 10.0


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One Python interpreter."""

    program: str
    version: tuple[int, int]
    gil: bool
    """Whether its threads share one interpreter lock."""

    @property
    def has_sub_interpreters(self) -> bool:
        """Whether it has `concurrent.interpreters`."""
        return self.version >= (3, 14)


def find_interpreters() -> list[Interpreter]:
    """This interpreter first, then others that are found on PATH or were installed by uv or pyenv."""
    gil = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
    # On a busy machine it may not answer in time.
    own = _probed(PYTHON) or Interpreter(PYTHON, sys.version_info[:2], gil)
    return [own, *(each for each in map(_probed, _others()) if each is not None)]


def _others() -> Iterator[str]:
    found = {program for name in _NAMES if (program := find_program(name))}
    for folder in _version_folders():
        programs = (str(folder / "bin" / name) for name in _NAMES)
        # Path.is_file raises in a folder that cannot be entered; os.path does not.
        found |= {program for program in programs if os.path.isfile(program)}  # noqa: PTH113
    yield from sorted(found)


def _version_folders() -> Iterator[Path]:
    """The folders in which uv and pyenv keep one interpreter each."""
    home = Path(os.environ.get("HOME") or "/nonexistent")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    roots = (
        Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python"),
        Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions",
    )
    for root in roots:
        if root.is_absolute() and os.access(root, os.R_OK | os.X_OK) and root.is_dir():
            yield from sorted(each for each in root.iterdir() if re.search(r"\d", each.name))


def _probed(program: str) -> Interpreter | None:
    """The interpreter, or None for a program that does not answer as one, such as a shim without a version."""
    try:
        answer = subprocess.run(
            isolated_command(program, "-c", _PROBE),
            capture_output=True,
            text=True,
            timeout=_PROBE_LIMIT,
            check=True,
        ).stdout.split()
        major, minor, gil = map(int, answer)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(program, (major, minor), bool(gil))
