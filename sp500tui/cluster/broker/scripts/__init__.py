"""The changes of the broker's state, each one atomic: one Lua script a file, put together from its parts.

A script may begin with a line `#!lua flags=…` and then names what it needs of `parts/` in a line `-- needs: a, b`.
A script that must not be applied twice needs the part `once` and is run as an operation (see `broker.Operation`).
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
    """One script as the broker gets it."""

    source: str
    sha: str
    """SHA-1 in hex, by which the broker knows a script it has seen before."""


@cache
def load(name: str) -> Script:
    """The script of that name, its parts put before it."""
    lines = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8").splitlines()
    head = [lines.pop(0)] if lines[0].startswith("#!") else []
    needed = lines.pop(0).removeprefix(_NEEDS).split(", ") if lines[0].startswith(_NEEDS) else []
    components = [(_FOLDER / "parts" / f"{part}.lua").read_text(encoding="utf-8") for part in needed]
    source = "\n".join([*head, *components, *lines])
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
