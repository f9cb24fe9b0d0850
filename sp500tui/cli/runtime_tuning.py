"""Settings of the interpreter for a program of many threads: garbage collection and thread switching."""

from __future__ import annotations

import gc
import os
import sys

_SWITCH_INTERVAL = 0.001
"""Seconds that a busy thread may run while others wait. Python's default of 5 ms, times the number of busy threads,
would delay the screen."""
_THRESHOLDS = (50_000, 5, 20)
"""Arguments of `gc.set_threshold`. Imports and quotes allocate many objects and hardly any cycles, so the youngest
generation is collected rarely; with higher thresholds for the older ones garbage takes up megabytes."""


def tune_gc() -> None:
    """Collect garbage less often, and disable pydantic's plugins."""
    gc.set_threshold(*_THRESHOLDS)
    # To find plugins, pydantic reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def tune_for_ui() -> None:
    """Switch between threads more often, for a responsive screen at the cost of some throughput."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
