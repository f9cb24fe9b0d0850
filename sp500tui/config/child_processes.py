"""Commands and environments for child processes, which import and run nothing from the current directory.

The current directory may be untrusted, such as an unpacked archive or `/tmp`. Imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

TYPE_CHECKING = False  # type checkers assume True; the watchdog does not load `typing`
if TYPE_CHECKING:
    from typing import IO

_PACKAGE_ROOT = str(Path(__file__).parents[2])
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
_INTERACTIVE = ("PYTHONINSPECT", "PYTHONSTARTUP")
"""Variables that would make a child wait for commands at its end."""


PYTHON = sys.executable
"""Path of this interpreter; start it by `python_command` or `isolated_command`."""


def isolated_command(interpreter: str, *arguments: str) -> list[str]:
    """The command line of any Python with `-I`: it ignores the environment and imports only from its own folders."""
    return [interpreter, "-I", *arguments]


def python_command(module: str, *arguments: str, site: bool = True) -> list[str]:
    """The command line of `python -m MODULE` with `-P`; start it with `python_environment()`.

    `site=False` skips the site module, which halves the start-up time of a small process.
    """
    return [PYTHON, "-P", *(() if site else ("-S",)), "-m", module, *arguments]


def python_environment() -> dict[str, str]:
    """This process's environment for a child that imports the very same packages.

    A child's output to a pipe is UTF-8, whatever the terminal's encoding.
    """
    folders = [folder for folder in sys.path if Path(folder).is_absolute()]
    if _PACKAGE_ROOT not in folders:
        folders.append(_PACKAGE_ROOT)
    kept = {name: value for name, value in os.environ.items() if name not in _INTERACTIVE}
    return {**kept, "PYTHONPATH": os.pathsep.join(folders), "PYTHONIOENCODING": "utf-8"}


def find_program(name: str, *, system: bool = False) -> str | None:
    """The absolute path of a program on PATH, or with `system` in the system's own folders; None if there is none.

    Relative and empty elements of PATH, which mean the current directory, are skipped.
    """
    folders = _SYSTEM_FOLDERS if system else os.environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        program = Path(folder, name)
        # Path.is_file raises in a folder that cannot be entered; os.path does not.
        if program.is_absolute() and os.path.isfile(program) and os.access(program, os.X_OK):  # noqa: PTH113
            return str(program)
    return None


def error_file() -> IO[bytes]:
    """A file for what a child process writes to stderr; in memory if no temporary folder can be written.

    Raises:
        OSError: neither can be created.
    """
    import tempfile  # the watchdog does not need it

    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError:
        if sys.platform != "linux":
            raise
        return os.fdopen(os.memfd_create("stderr"), "w+b")
