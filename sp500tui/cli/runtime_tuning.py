"""What Python and its libraries are told, so that a program of many threads is quick and answers its user quickly.

Imports nothing heavy.
"""

from __future__ import annotations

import gc
import os
import sys

_SWITCH_INTERVAL = 0.001
"""Seconds a busy thread may keep the others waiting; Python's 5 ms times the busy threads is a late screen."""
_YOUNG_OBJECTS = 50_000
"""New objects between two looks for garbage: imports and quotes make many and next to no cycles."""
_YOUNG_ROUNDS, _MIDDLE_ROUNDS = 5, 20
"""Rounds after which the older generations are looked through as well: more, and garbage fills megabytes meanwhile."""


def tune_gc() -> None:
    """Look for garbage less often, and for pydantic's plugins not at all."""
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_ROUNDS, _MIDDLE_ROUNDS)
    # They are looked for in the metadata of every package there is, before the first picture.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def tune_for_ui() -> None:
    """Hand over between threads more often, at the price of some throughput: for a program that has a screen."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
