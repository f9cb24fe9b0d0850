"""Every test has a home of its own."""

from __future__ import annotations

from tests.support.environment import own_home as own_home
