"""Did-you-mean suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from sp500tui.config.options import ENVIRONMENT_PREFIX

_CUTOFF = 0.7
"""Minimum similarity ratio of `difflib`, from 0 to 1."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean --interval?`, or an empty string if no known name is similar.

    Leading hyphens, case, the difference between `-` and `_` and the prefix of the program's variables are ignored.
    """
    by_bare_name = {_bare(each): each for each in known}
    near = get_close_matches(_bare(name), by_bare_name, n=1, cutoff=_CUTOFF)
    return f"did you mean {by_bare_name[near[0]]}?" if near else ""


def _bare(name: str) -> str:
    return name.lstrip("-").replace("-", "_").lower().removeprefix(ENVIRONMENT_PREFIX.lower())
