"""The documents name files, functions and command lines that exist."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sp500tui.cli.command_arguments import COMMANDS
from sp500tui.cli.parser import parse
from sp500tui.config.keys import validate_keymap
from sp500tui.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")], key=lambda path: str(path)
)
_CODE = re.compile(r"`([^`\n]+)`")
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_ROW = re.compile(r"^\|[^|]*\| `([\w/]+\.py)` \| `([\w.]+)` \|$", re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
_SUFFIXES = (".py", ".sql", ".tcss", ".lua", ".toml", ".yaml", ".csv")


@cache
def names_of(path: Path) -> frozenset[str]:
    """The functions and classes of a module, methods as `Class.method` and alone."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.update((child.name, f"{node.name}.{child.name}"))
    return frozenset(found)


def candidates(name: str) -> list[Path]:
    """Files that a path in a document may refer to: from the root, the package, the fault tests, or by name alone."""
    direct = [ROOT / name, ROOT / "sp500tui" / name, ROOT / "tests" / "faults" / name]
    return [path for path in direct if path.exists()] or [
        path for folder in ("tests", "sp500tui") for path in (ROOT / folder).glob(f"**/{name}")
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_test_that_a_document_names_exists(document: Path) -> None:
    missing: list[str] = []
    for code in _CODE.findall(document.read_text(encoding="utf-8")):
        name, _, rest = code.split(" ")[0].partition("::")
        if (
            any(character in name for character in "*<>{}…$=")
            or not name.endswith(_SUFFIXES)
            or name.startswith(".")
        ):
            continue
        files = candidates(name)
        if not files:
            missing.append(name)
        elif rest and not any(set(rest.split("[")[0].split("::")) <= names_of(file) for file in files):
            missing.append(code)
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_to_a_file(document: Path) -> None:
    links = [link for link in _LINK.findall(document.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_way_of_a_quote_names_functions_that_exist() -> None:
    rows = _ROW.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len(rows) >= 10
    assert [
        f"{file}: {function}" for file, function in rows if function not in names_of(ROOT / "sp500tui" / file)
    ] == []


def test_every_folder_of_the_package_is_described() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = [path.parent.name for path in (ROOT / "sp500tui").glob("*/__init__.py")]
    assert folders
    assert [name for name in folders if f"`{name}/" not in text] == []


def command_lines(text: str) -> Iterator[str]:
    """The command lines of the program in a document, inline and in code blocks, up to a comment, a pipe or `&`."""
    lines = [line.removeprefix("uv run ") for block in _SHELL.findall(text) for line in block.splitlines()]
    for line in [*_CODE.findall(text), *lines]:
        if line.startswith("sp500tui "):
            yield re.split(r"\s+[#|&]", line)[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_line_of_a_document_is_accepted(document: Path) -> None:
    refused: list[str] = []
    for line in command_lines(document.read_text(encoding="utf-8")):
        # `pause [STAGE]` and `export quotes|bars` represent several lines.
        words = [word.strip("[]").split("|")[0] for word in shlex.split(line)[1:]]
        try:
            if words not in [[name] for name in COMMANDS]:
                parse(words)
        except ConfigurationError as error:
            refused.append(f"{line}: {error}")
        except SystemExit:
            assert words == ["--help"]
    assert refused == []


def test_a_command_line_with_an_unknown_option_is_found() -> None:
    (line,) = command_lines(
        "`other --x`\n```sh\nuv run sp500tui --no-such-option | head   # a comment\n```\n"
    )
    assert line == "sp500tui --no-such-option"
    with pytest.raises(ConfigurationError):
        parse(line.split()[1:])


@pytest.fixture
def known_options(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options in the help of the program and of its commands, and those of the tests and benchmarks."""
    for words in ([], *([name] for name in COMMANDS)):
        with pytest.raises(SystemExit):
            parse([*words, "--help"])
    programs = ["conftest.py", "benchmarks/__main__.py", "faults/__main__.py", "faults/campaigns/cluster.py"]
    texts = [(ROOT / "tests" / name).read_text(encoding="utf-8") for name in programs]
    return set(_OPTION.findall("\n".join([capsys.readouterr().out, *texts]))) | {"--user"}  # of Docker


def test_every_option_that_a_document_names_exists(known_options: set[str]) -> None:
    assert len(known_options) > 50
    named = {
        (document.name, option)
        for document in DOCUMENTS
        for code in _CODE.findall(document.read_text(encoding="utf-8"))
        if code.startswith("--")
        for option in _OPTION.findall(code)
    }
    assert [each for each in sorted(named) if each[1] not in known_options] == []


def test_every_key_that_a_document_remaps_exists() -> None:
    blocks = [
        block
        for document in DOCUMENTS
        for block in re.findall(
            r"^```toml\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
    ]
    keymaps = [keymap for block in blocks if (keymap := tomllib.loads(block).get("keymap"))]
    assert keymaps
    for keymap in keymaps:
        validate_keymap(keymap)
