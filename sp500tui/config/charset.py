"""Whether the terminal can show Unicode, judged by the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

_WITHOUT_UNICODE = ("vt52", "vt100", "vt102", "vt220", "vt320")
"""Values of TERM whose terminals have no Unicode."""


def needs_ascii(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the locale names an encoding other than UTF-8, or TERM a terminal without Unicode.

    The first variable that is set decides, in the order of POSIX. Without any, UTF-8 is assumed, as in most containers.
    """
    variables = os.environ if environment is None else environment
    if variables.get("TERM", "") in _WITHOUT_UNICODE:
        return True
    name = next((value for key in ("LC_ALL", "LC_CTYPE", "LANG") if (value := variables.get(key))), "UTF-8")
    return "UTF8" not in name.upper().replace("-", "")
