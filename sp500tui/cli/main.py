"""The entry point. Answers `--version` before anything is imported, since that is asked by every installer."""

from __future__ import annotations

import sys

from sp500tui import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run the program with these arguments, or those of the command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"] and sys.stdout is not None:
        try:
            sys.stdout.write(f"sp500tui {__version__}\n")
            sys.stdout.flush()
        except OSError:
            pass  # reported below, as for every other command
        else:
            return 0
    from sp500tui.config.child_processes import forget_current_folder

    forget_current_folder()
    # Only now: this import loads modules of the standard library, which the current directory could shadow.
    from sp500tui.logs.standard_streams import prepare

    prepare()
    try:
        from sp500tui.cli.program import run

        code = run(given)
    except KeyboardInterrupt:
        return 130
    if arguments is None:
        _end_quietly_on_signals()
    return code


def _end_quietly_on_signals() -> None:
    """From now on, while the interpreter ends, a Ctrl-C ends the process without a traceback."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
