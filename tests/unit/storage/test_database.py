"""Whether there is a database to open."""

from __future__ import annotations

from pathlib import Path

import pytest

from sp500tui.errors import ConfigurationError
from sp500tui.storage.database import Database
from tests.support.environment import ordinary_user
from tests.support.postgres.server import public_folder


def test_there_is_one_by_url_or_where_the_embedded_one_was_made(tmp_path: Path) -> None:
    assert Database.exists("postgresql://host/db", tmp_path)
    assert not Database.exists(None, tmp_path)
    assert not Database.exists(None, tmp_path / "none")
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata" / "PG_VERSION").write_text("18\n")
    assert Database.exists(None, tmp_path)


def test_the_folder_of_another_user_is_refused_with_the_remedy() -> None:
    folder = public_folder()
    folder.chmod(0)
    with (
        ordinary_user(),
        pytest.raises(
            ConfigurationError, match=f"{folder} belongs to another user; run as its owner, or name"
        ),
    ):
        Database.exists(None, folder)
