"""A headless run until its first price is stored, as a separate program.

Run as `-m tests.benchmarks.children.first_price STARTED OPTION…` with options of `sp500tui --no-ui`. Writes how many
seconds after `STARTED` (`time.monotonic()` of the caller) the first row was committed.
"""

from __future__ import annotations

import sys
import time


def main(started: float, options: list[str]) -> None:
    """Start a run like the command line, and poll its ledger until the first row is stored."""
    from sp500tui.cli.runtime_tuning import tune_gc

    tune_gc()
    from sp500tui.cli.context import configuration_of
    from sp500tui.cli.parser import parse
    from sp500tui.config.paths import Paths
    from sp500tui.pipeline.runtime.pipeline import Pipeline

    settings = configuration_of(parse(["--no-ui", "--once", *options])).settings
    paths = Paths.of(settings)
    paths.prepare()
    pipeline = Pipeline(settings, paths)
    pipeline.start()
    while not pipeline.join(0) and not pipeline.snapshot().ledger.stored:
        time.sleep(0.005)
    seconds = time.monotonic() - started
    pipeline.join()
    if not pipeline.outcome().ledger.stored:
        raise SystemExit("nothing was stored")
    sys.stdout.write(f"{seconds}\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
