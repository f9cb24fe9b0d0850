"""Lets threads start while another one is traced by coverage."""

from __future__ import annotations

import sys
import time
from typing import Any

_ATTEMPTS = 100
_install = sys.settrace


def _settrace(function: Any) -> None:
    """Install a trace function; retry while another thread is installing one.

    The interpreter refuses that before version 3.12 ("Cannot install a trace function while another trace function is
    being installed"). The new thread then ends before its first line.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            _install(function)
        except RuntimeError:
            time.sleep(0.001)
        else:
            return
    _install(function)


def let_threads_start_while_traced() -> None:
    """Have new threads retry to install the trace function of coverage."""
    if sys.version_info < (3, 12):
        sys.settrace = _settrace
