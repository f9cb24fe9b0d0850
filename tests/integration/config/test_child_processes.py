"""Child processes import and run nothing from the current directory."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

import sp500tui
from sp500tui.cli.main import forget_current_folder
from sp500tui.config.child_processes import error_file, find_program, python_command, python_environment
from tests.support.environment import ordinary_user
from tests.support.parameters import rest_thorough
from tests.support.postgres.server import public_folder

PACKAGE = Path(sp500tui.__file__).parent
MARK = "import os\nopen(os.environ['MARK'], 'a').write(__name__ + '\\n')\n"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: it shadows modules of the library, of dependencies and of the package itself."""
    folder = tmp_path / "hostile"
    (folder / "sp500tui").mkdir(parents=True)
    for name in ("json", "logging", "fcntl", "asyncio", "psycopg", "sitecustomize", "sp500tui/__init__"):
        (folder / f"{name}.py").write_text(MARK)
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    monkeypatch.chdir(folder)
    return folder


def marks(folder: Path) -> str:
    mark = folder.parent / "mark"
    return mark.read_text() if mark.exists() else ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "site"),
    [
        ("sp500tui.pipeline.writer.process", True),
        ("sp500tui.storage.embedded.watchdog", False),
        ("sp500tui.simulator", True),
    ],
)
@pytest.mark.parametrize("python_path", rest_thorough([":", None, "{other}:", ":{other}"], 2))
def test_a_child_imports_nothing_from_the_current_directory(
    hostile: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    site: bool,
    python_path: str | None,
) -> None:
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    if python_path is not None:
        monkeypatch.setenv("PYTHONPATH", python_path.format(other=tmp_path))
    # Without arguments each of them ends at once, after its imports.
    subprocess.run(
        python_command(module, "--help", site=site),
        env=python_environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert marks(hostile) == ""


@pytest.mark.parametrize("python_path", rest_thorough(["", ":", ":/nonexistent", "/nonexistent:"], 2))
def test_the_program_itself_imports_nothing_from_the_current_directory(
    hostile: Path, python_path: str
) -> None:
    (hostile / "sp500tui" / "__init__.py").unlink()
    (hostile / "sp500tui").rmdir()
    for name in ("__future__", "pathlib", "re", "enum", "fnmatch", "urllib"):
        (hostile / f"{name}.py").write_text(MARK)
    (hostile / "sitecustomize.py").unlink()  # runs before any program where PYTHONPATH names the folder
    done = subprocess.run(
        [sys.executable, "-m", "sp500tui", "config", "show"],
        env={**os.environ, "PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, marks(hostile)) == (0, "")


def test_an_import_path_that_names_the_current_directory_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = str(Path(os.__file__).parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), library])
    forget_current_folder()
    assert sys.path == [str(tmp_path), library]


def test_an_editable_installation_in_the_current_directory_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = str(Path(os.__file__).parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), library, str(tmp_path)])
    forget_current_folder()
    assert sys.path == [library, str(tmp_path)]


def test_a_child_imports_what_its_parent_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("print('imported')\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    done = subprocess.run(
        python_command("only_here"),
        env=python_environment(),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "imported\n"


@pytest.mark.parametrize("encoding", ["utf-16", "cp037", "latin-1", "ascii:strict"])
def test_a_child_writes_utf_8_for_any_encoding_of_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    (tmp_path / "writes.py").write_text("print('é')\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = subprocess.run(python_command("writes"), env=python_environment(), capture_output=True, check=True)
    assert done.stdout == "é\n".encode()


@pytest.mark.parametrize("path", ["", ".", ":/nonexistent", "sub", "./sub:."])
def test_a_program_in_the_current_directory_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for folder in (tmp_path, tmp_path / "sub"):
        folder.mkdir(exist_ok=True)
        (folder / "psql").write_text("#!/bin/sh\n")
        (folder / "psql").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    assert find_program("psql") is None
    monkeypatch.setenv("PATH", f"{path}:{tmp_path}")
    assert find_program("psql") == str(tmp_path / "psql")


def test_what_cannot_be_run_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "psql").mkdir()
    (tmp_path / "other").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("psql") is None
    assert find_program("other") is None


def test_only_one_module_starts_python_and_searches_for_programs() -> None:
    elsewhere = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if (
                name in ("sys.executable", "shutil.which", "os.system", "os.popen")
                and file.name != "child_processes.py"
            ):
                elsewhere.append(f"{file.relative_to(PACKAGE)}:{node.lineno} {name}")  # type: ignore[attr-defined]
    assert elsewhere == []


def test_a_child_does_not_wait_for_commands_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONINSPECT", "1")
    monkeypatch.setenv("PYTHONSTARTUP", "/nonexistent")
    assert not {"PYTHONINSPECT", "PYTHONSTARTUP"} & python_environment().keys()


def test_the_output_of_a_child_is_kept_in_memory_without_a_temporary_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> NoReturn:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", missing)
    with error_file() as file:
        subprocess.run(
            [sys.executable, "-c", "import sys; sys.stderr.write('reason')"], stderr=file, check=True
        )
        file.seek(0)
        assert file.read() == b"reason"


def test_a_folder_of_path_that_the_user_may_not_enter_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    private = public_folder()
    private.chmod(0)
    monkeypatch.setenv("PATH", f"{private}:{private / 'bin'}:/bin")
    with ordinary_user():
        assert find_program("sh") == "/bin/sh"
