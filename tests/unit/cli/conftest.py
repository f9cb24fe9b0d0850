"""Every test has a separate home directory."""

from __future__ import annotations

from tests.support.environment import own_home as own_home
