"""The command `trace`: arguments refused before it connects to the pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from sp500tui.cli import main as cli
from sp500tui.errors import ExitCode


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "--output is missing; write `sp500tui trace --output FILE`"),
        ("-o", "--output requires a value; write --output FILE"),
        *(
            (f"--seconds {value} -o t.json", "use a number above 0, up to 180")
            for value in ("0", "-1", "x", "nan", "181")
        ),
        ("-o t.json extra", "unknown argument extra"),
        ("-o t.json --second 3", "did you mean --seconds?"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(line: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trace", *line.split()]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err


def test_without_a_pipeline_the_remedy_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["trace", "-o", str(tmp_path / "t.json"), "--data-dir", str(tmp_path / "data")])
    assert code != ExitCode.OK
    assert "no pipeline runs" in capsys.readouterr().err
    assert not (tmp_path / "t.json").exists()
