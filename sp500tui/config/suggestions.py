"""The known name that an unknown one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from sp500tui.config.options import ENVIRONMENT_PREFIX

_SIMILARITY = 0.7
"""Least ratio of `difflib`, from 0 to 1, for a suggestion."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean --interval?`, or nothing where no known name is near.

    Leading hyphens, case, the difference between `-` and `_` and the prefix of the program's variables are ignored.
    """
    spelled = {_bare(each): each for each in known}
    near = get_close_matches(_bare(name), spelled, n=1, cutoff=_SIMILARITY)
    return f"did you mean {spelled[near[0]]}?" if near else ""


def _bare(name: str) -> str:
    return name.lstrip("-").replace("-", "_").lower().removeprefix(ENVIRONMENT_PREFIX.lower())
