"""The import path of this process. Imports only what the interpreter has loaded before: the path may be hostile."""

import os
import sys


def forget_current_folder() -> None:
    """Remove the current directory from this process's import path where only Python's defaults put it there.

    `python -m` puts it first; so does an empty element of PYTHONPATH, as in `PYTHONPATH=$UNSET:/opt/lib`. A PYTHONPATH
    that names it is the user's choice, and so is an editable installation, which comes after the standard library.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib is not loaded yet
    except OSError:
        here = ""
    named = set(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    implicit = {""} if here in named else {"", here}
    library = os.path.dirname(os.__file__)  # noqa: PTH120
    end = sys.path.index(library) if library in sys.path else len(sys.path)
    sys.path[:end] = [folder for folder in sys.path[:end] if folder not in implicit]
