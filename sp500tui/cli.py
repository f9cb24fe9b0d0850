"""The entry point. Answers `--version` before anything is imported, since that is asked by every installer."""

from __future__ import annotations

import sys

from sp500tui import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run the program with these arguments, or those of the command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"]:
        sys.stdout.write(f"sp500tui {__version__}\n")
        return 0
    from sp500tui.child_processes import forget_current_folder

    forget_current_folder()
    from sp500tui.program import run

    return run(given)
