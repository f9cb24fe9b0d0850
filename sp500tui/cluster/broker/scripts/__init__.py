"""Loads the Lua scripts that change the broker's state atomically: one per file, assembled from shared parts.

A script may begin with a line `#!lua flags=…`, followed by a line `-- needs: a, b` that names files of `parts/`.
A script that is not idempotent needs the part `once` and is run with a `client.Operation`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_NEEDS = "-- needs: "


@dataclass(frozen=True, slots=True)
class Script:
    """A script as sent to the broker."""

    source: str
    sha: str
    """SHA-1 in hex, for EVALSHA."""


@cache
def load(name: str) -> Script:
    """Read a script and insert its parts before it."""
    lines = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8").splitlines()
    head = [lines.pop(0)] if lines[0].startswith("#!") else []
    needed = lines.pop(0).removeprefix(_NEEDS).split(", ") if lines[0].startswith(_NEEDS) else []
    parts = [(_FOLDER / "parts" / f"{part}.lua").read_text(encoding="utf-8") for part in needed]
    source = "\n".join([*head, *parts, *lines])
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
