"""Files named for output: complete, or as they were before."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from sp500tui.errors import ConfigurationError, Sp500tuiError
from sp500tui.output_file import output_file


class TestRegularFiles:
    def test_replaces_the_file_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "q.csv"
        path.write_text("before")
        with output_file(path) as file:
            file.write(b"after")
            file.flush()
            assert path.read_text() == "before"
        assert path.read_text() == "after"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
    def test_a_failure_leaves_everything_as_it_was(self, tmp_path: Path, error: type[BaseException]) -> None:
        path = tmp_path / "q.csv"
        path.write_text("before")

        def fail() -> None:
            with output_file(path) as file:
                file.write(b"half")
                raise error

        with pytest.raises((error, Sp500tuiError)):
            fail()
        assert path.read_text() == "before"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_failure_leaves_no_new_file(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="stop"), output_file(tmp_path / "q.csv"):
            raise ValueError("stop")
        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_is_an_unfinished_command(self, tmp_path: Path) -> None:
        with (
            pytest.raises(Sp500tuiError, match="No space left on device; name a file on a disk") as raised,
            output_file(tmp_path / "q.csv"),
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert raised.value.exit_code == 1
        assert list(tmp_path.iterdir()) == []

    def test_permissions_are_kept_or_those_of_a_new_file(self, tmp_path: Path) -> None:
        (tmp_path / "usual").touch()
        (tmp_path / "private").touch(0o600)
        for name in ("new", "private"):
            with output_file(tmp_path / name) as file:
                file.write(b"x")
        assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
        assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("folder/real")
        for content in (b"first", b"second"):
            with output_file(tmp_path / "link") as file:
                file.write(content)
            assert (tmp_path / "folder" / "real").read_bytes() == content
        assert (tmp_path / "link").is_symlink()

    def test_a_name_of_the_longest_length(self, tmp_path: Path) -> None:
        path = tmp_path / ("ü" * 127)
        with output_file(path) as file:
            file.write(b"x")
        assert path.read_bytes() == b"x"


class TestPathsThatCannotBeWritten:
    def refusal(self, path: Path) -> str:
        with pytest.raises(ConfigurationError) as raised, output_file(path):
            raise AssertionError("the block must not begin")
        assert str(path) in str(raised.value)
        return str(raised.value)

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path)
        assert "it is a folder; name a file in it" in self.refusal(tmp_path)
        assert "it is a folder; name a file in it" in self.refusal(tmp_path / "link")

    def test_a_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        refusal = self.refusal(tmp_path / "none" / "q.csv")
        assert f"the folder {tmp_path / 'none'} does not exist; create it" in refusal
        assert list(tmp_path.iterdir()) == []

    def test_a_file_as_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert "Not a directory" in self.refusal(tmp_path / "file" / "q.csv")

    def test_a_name_that_is_too_long(self, tmp_path: Path) -> None:
        assert "File name too long" in self.refusal(tmp_path / ("x" * 256))

    def test_a_loop_of_links(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        assert "symbolic links" in self.refusal(tmp_path / "loop")

    def test_a_file_that_may_not_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Root may write every file.
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
        path = tmp_path / "q.csv"
        path.write_text("before")
        assert "Permission denied; name a file that you may write" in self.refusal(path)
        assert path.read_text() == "before"


class TestPipesAndDevices:
    def test_a_device_is_written_directly(self) -> None:
        with output_file(Path(os.devnull)) as file:
            file.write(b"x")
        assert Path(os.devnull).is_char_device()

    def test_a_full_device(self) -> None:
        with (
            pytest.raises(Sp500tuiError, match="/dev/full: No space left on device") as raised,
            output_file(Path("/dev/full")) as file,
        ):
            file.write(b"x")
        assert raised.value.exit_code == 1

    def test_the_pipe_of_a_process_substitution(self) -> None:
        # A shell passes >(gzip) as the path of a descriptor, which leads to no path.
        reading, writing = os.pipe()
        with output_file(Path(f"/dev/fd/{writing}")) as file:
            file.write(b"rows")
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read() == b"rows"

    def test_a_pipe_whose_reader_has_ended(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with (
            pytest.raises(Sp500tuiError, match="Broken pipe; the program that reads it has ended"),
            output_file(Path(f"/dev/fd/{writing}")) as file,
        ):
            file.write(b"rows")
        os.close(writing)

    def test_a_named_pipe(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
        reader.start()
        with output_file(path) as file:
            file.write(b"rows")
        reader.join()
        assert read == [b"rows"]
        assert path.is_fifo()
