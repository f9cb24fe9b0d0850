"""Certificate authorities of `--ca-file` and of the environment's variables."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trustme

from sp500tui.errors import ConfigurationError
from sp500tui.sources.trust import DIRECTORY, VARIABLES, trusted_authorities
from tests.support.environment import ordinary_user
from tests.support.postgres.server import public_folder


def authority(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    trustme.CA(organization_name=path.name).cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize("name", VARIABLES)
def test_each_variable_names_the_file(tmp_path: Path, name: str) -> None:
    file = authority(tmp_path / "corporate.pem")
    assert trusted_authorities(None, {name: str(file)}, tmp_path / "cache") == file


def test_the_option_wins_then_the_variables_in_their_order(tmp_path: Path) -> None:
    option = authority(tmp_path / "option.pem")
    environment = {name: str(authority(tmp_path / f"{name}.pem")) for name in VARIABLES}
    environment[DIRECTORY] = str(tmp_path)
    assert trusted_authorities(option, environment, tmp_path) == option
    for name in VARIABLES:
        assert trusted_authorities(None, environment, tmp_path) == Path(environment[name])
        environment[name] = " "
    assert trusted_authorities(None, environment, tmp_path / "cache") == tmp_path / "cache/authorities.pem"
    assert trusted_authorities(None, {}, tmp_path) is None


@pytest.mark.parametrize("name", [*VARIABLES, DIRECTORY])
def test_a_folder_of_authorities_is_collected(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "certs"
    first, second = authority(folder / "one.pem"), authority(folder / "two.crt")
    (folder / "0a1b2c3d.0").symlink_to(first)
    (folder / "README").write_text("no certificate")
    (folder / "key.pem").write_bytes(b"\xff" * 100)
    found = trusted_authorities(None, {name: str(folder)}, tmp_path / "cache")
    assert found is not None
    context = ssl.create_default_context(cafile=str(found))
    assert len(context.get_ca_certs()) == 2
    assert second.read_text().strip() in found.read_text()


def test_absent_folders_are_skipped_as_openssl_does(tmp_path: Path) -> None:
    folder = authority(tmp_path / "certs/one.pem").parent
    assert trusted_authorities(None, {DIRECTORY: f"/nowhere:{folder}"}, tmp_path / "cache")
    assert trusted_authorities(None, {DIRECTORY: "/nowhere"}, tmp_path) is None


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("absent", "cannot be read: No such file or directory"),
        ("empty", "holds no PEM certificate"),
        ("text", "holds no PEM certificate"),
        ("empty folder", "holds no PEM certificate"),
        ("pipe", "is not a regular file"),
    ],
)
def test_an_unusable_file_is_one_line_with_the_remedy(
    tmp_path: Path, name: str, kind: str, reason: str
) -> None:
    path = tmp_path / "ca"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "absent":
        path.write_text("hello" if kind == "text" else "")
    with pytest.raises(ConfigurationError) as caught:
        trusted_authorities(None, {name: str(path)}, tmp_path)
    assert str(caught.value) == (
        f"{name} names {path}, which {reason}; correct the variable, unset it or give --ca-file"
    )


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = authority(tmp_path / "certs/one.pem").parent
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be collected in .*; make it writable"):
        trusted_authorities(None, {DIRECTORY: str(folder)}, tmp_path / "file" / "cache")


@pytest.mark.parametrize("name", VARIABLES)
def test_a_file_in_a_folder_that_the_user_may_not_enter_is_refused(name: str) -> None:
    folder = public_folder()
    authority(folder / "corporate.pem")
    folder.chmod(0)
    with (
        ordinary_user(),
        pytest.raises(ConfigurationError, match=f"{name} names .*Permission denied; correct"),
    ):
        trusted_authorities(None, {name: str(folder / "corporate.pem")}, folder)
    with ordinary_user():
        assert trusted_authorities(None, {DIRECTORY: str(folder / "x")}, folder) is None
    with pytest.raises(ConfigurationError, match="File name too long"):
        trusted_authorities(None, {name: "/" + "x" * 300}, folder)
