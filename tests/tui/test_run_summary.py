"""The line that a finished dashboard prints on the terminal, and the paths of its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.tui.run import dashboard_files, run_summary
from tests.support.tui.fake_pipeline import running


@pytest.mark.parametrize(
    ("ledger", "uptime", "words"),
    [
        (
            Ledger(88_478, 70_009, 18_469),
            420.0,
            "88,478 fetched = 70,009 stored + 18,469 duplicate, 7 min",
        ),
        (Ledger(503, 503), 12.4, "503 fetched = 503 stored, 12 s"),
        (
            Ledger(10, 1, 2, 3, 0, 3, 1),
            61.0,
            "10 fetched = 1 stored + 2 duplicate + 3 queued + 3 spooled + 1 dead, 1 min 1 s",
        ),
        (Ledger(5, 0, 0, 0, 0, 5), 3.0, "5 fetched = 5 spooled, 3 s"),
        (Ledger(5, 4), 3.0, "5 fetched ≠ 4 stored, 3 s"),
        (Ledger(), 3.0, ""),
    ],
)
def test_the_summary_is_exact_and_leaves_out_zeros(ledger: Ledger, uptime: float, words: str) -> None:
    assert run_summary(replace(running(), ledger=ledger, uptime=uptime)) == words


def test_exports_go_to_the_data_folder_where_the_current_directory_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deleted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    paths = Paths.of(Settings(data_dir=tmp_path))
    assert dashboard_files(paths).exports == paths.data
