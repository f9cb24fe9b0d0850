"""The documents name files and functions that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")], key=lambda path: str(path)
)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_ROW = re.compile(r"^\|[^|]*\| `([\w/]+\.py)` \| `([\w.]+)` \|$", re.MULTILINE)
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
