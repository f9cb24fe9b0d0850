"""Commands and environments for child processes, which import and run nothing from the current directory.

The current directory may be untrusted, such as an unpacked archive or `/tmp`. Imports nothing heavy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE_ROOT = str(Path(__file__).parents[2])
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


PYTHON = sys.executable
"""Path of this interpreter; to be started by `python_command`, or with `isolated_command`."""


def isolated_command(interpreter: str, *arguments: str) -> list[str]:
    """The command line of any Python with `-I`: it ignores the environment and imports from its own folders alone."""
    return [interpreter, "-I", *arguments]


def python_command(module: str, *arguments: str, site: bool = True) -> list[str]:
    """The command line of `python -m MODULE` with `-P`; to be started with `python_environment()`.

    `site=False` skips the site module, which halves the start of a small process.
    """
    return [PYTHON, "-P", *(() if site else ("-S",)), "-m", module, *arguments]


def python_environment() -> dict[str, str]:
    """This process's environment for a child that imports the very same packages.

    What a child writes to a pipe is UTF-8, whatever encoding the user wants on the terminal.
    """
    folders = [folder for folder in sys.path if Path(folder).is_absolute()]
    if _PACKAGE_ROOT not in folders:
        folders.append(_PACKAGE_ROOT)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONIOENCODING": "utf-8"}


def forget_current_folder() -> None:
    """Remove the current directory from this process's import path where only Python's defaults put it there.

    `python -m` puts it first; so does an empty element of PYTHONPATH, as in `PYTHONPATH=$UNSET:/opt/lib`. A PYTHONPATH
    that names it is the user's choice, and so is an editable installation, which comes after the standard library.
    """
    try:
        here = str(Path.cwd())
    except OSError:
        here = ""
    named = set(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    implicit = {""} if here in named else {"", here}
    library = str(Path(os.__file__).parent)
    end = sys.path.index(library) if library in sys.path else len(sys.path)
    sys.path[:end] = [folder for folder in sys.path[:end] if folder not in implicit]


def find_program(name: str, *, system: bool = False) -> str | None:
    """The absolute path of a program on PATH, or with `system` in the system's own folders; None where there is none.

    Relative and empty elements of PATH, which mean the current directory, are skipped.
    """
    folders = _SYSTEM_FOLDERS if system else os.environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        program = Path(folder, name)
        if program.is_absolute() and program.is_file() and os.access(program, os.X_OK):
            return str(program)
    return None
