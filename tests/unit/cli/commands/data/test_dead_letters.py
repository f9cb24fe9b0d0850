"""`sp500tui dead-letters`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sp500tui.cli import main as cli
from sp500tui.errors import ExitCode
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters


class TestDeadLetters:
    def a_letter(self) -> DeadLetter:
        return DeadLetter(
            "2026-05-04T15:30:00+00:00", "out of range\x1b", "22003", {"symbol": "AAPL", "price": "1e999"}
        )

    def test_an_empty_list_prints_a_message(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        for action in ("list", "replay"):
            assert cli.main(["dead-letters", action, "--data-dir", str(tmp_path / "d")]) == ExitCode.OK
            assert capsys.readouterr().out == "no dead letters\n"

    @pytest.mark.parametrize(("action", "found"), [("list", []), ("replay", {"stored": 0, "rejected": 0})])
    def test_json_of_none(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, action: str, found: object
    ) -> None:
        assert cli.main(["dead-letters", action, "--json", "--data-dir", str(tmp_path)]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out) == found

    def test_dead_letters_are_listed_with_their_reason(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        DeadLetters(tmp_path / "d" / "live" / "dead-letters.jsonl").add([self.a_letter()])

        assert cli.main(["dead-letters", "list", "--data-dir", str(tmp_path / "d")]) == ExitCode.OK
        line = capsys.readouterr().out
        assert line == "2026-05-04T15:30:00+00:00  AAPL  –  1e999  22003  out of range\\x1b\n"

        assert cli.main(["dead-letters", "list", "--json", "--data-dir", str(tmp_path / "d")]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out)[0]["price"] == "1e999"
