"""A file or a pipe that is read, whole or to the end of its first line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sp500tui.input_file import read_input

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("content", "most", "found"),
    [(b"", 10, b""), (b"a\nb", 10, b"a\nb"), (b"x" * 200_000, 150_000, b"x" * 150_000)],
)
def test_at_most_so_much_is_read(content: bytes, most: int, found: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert read_input(file, most) == found


def test_the_first_line_of_a_pipe_is_read_while_it_is_open() -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, b"first\nsecond")
        found = read_input(Path(f"/dev/fd/{reader}"), 100, first_line=True)
    finally:
        os.close(reader)
        os.close(writer)
    assert found.startswith(b"first\n")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_input(tmp_path, 10)
