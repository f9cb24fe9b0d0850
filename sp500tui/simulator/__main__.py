"""`python -m sp500tui.simulator`: how `process.py` starts the demo market."""

from __future__ import annotations

import argparse
import sys

from sp500tui.simulator.command import add_arguments, run


def main(arguments: list[str] | None = None) -> int:
    """Run the demo market with the options of the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sp500tui.simulator", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
