"""The account that runs the embedded server, and the programs that it uses."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from sp500tui.errors import ConfigurationError
from sp500tui.storage.embedded import account as accounts
from sp500tui.storage.embedded import binaries
from sp500tui.storage.embedded.account import Account, grant_traverse


def act_as(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "enters"),
    [
        (0o700, 0, 0, True),
        (0o600, 0, 0, False),
        (0o710, 1, 0, True),
        (0o701, 1, 0, False),
        (0o701, 1, 1, True),
        (0o770, 1, 1, False),
    ],
)
def test_permissions_follow_the_mode_and_the_owner(
    tmp_path: Path, mode: int, uid: int, gid: int, enters: bool
) -> None:
    # The figures are offsets from the folder's own owner and group.
    status = tmp_path.stat()
    tmp_path.chmod(mode)
    account = Account("other", status.st_uid + uid, status.st_gid + gid, is_other_user=True)
    assert account.can_traverse(tmp_path) is enters
    tmp_path.chmod(0o700)


def test_an_ordinary_users_server_runs_as_that_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    act_as(monkeypatch, nobody.pw_uid)
    account = Account.of(tmp_path / "pgdata")
    assert (account.name, account.uid, account.is_other_user) == ("nobody", nobody.pw_uid, False)
    assert account.popen_arguments() == {}
    assert account.owner is None
    mode = tmp_path.stat().st_mode
    grant_traverse(account, tmp_path)
    account.chown(tmp_path)
    assert tmp_path.stat().st_mode == mode


def test_a_user_id_without_a_name_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act_as(monkeypatch, 2**31 - 7)
    with pytest.raises(ConfigurationError, match="no name in /etc/passwd"):
        Account.of(tmp_path)


@pytest.mark.processes
def test_a_failure_to_create_the_account_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act_as(monkeypatch, 0)
    monkeypatch.setattr(accounts, "SYSTEM_ACCOUNT", "no-such-account")
    monkeypatch.setattr(accounts, "find_program", lambda name, system: "/bin/false")
    with pytest.raises(ConfigurationError, match=r"'no-such-account'.* could not be created"):
        Account.of(tmp_path / "pgdata")


def entry(name: str, uid: int = 990) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, "", "/nonexistent", "/usr/sbin/nologin"))


def test_the_creation_of_the_account_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given a system without the account, where useradd makes it
    act_as(monkeypatch, 0)
    made: list[str] = []

    def add(command: tuple[str, ...], **options: object) -> subprocess.CompletedProcess[bytes]:
        made.append(command[-1])
        return subprocess.CompletedProcess(command, 0, b"", b"")

    def find(name: str) -> pwd.struct_passwd:
        if name not in made:
            raise KeyError(name)
        return entry(name)

    monkeypatch.setattr(subprocess, "run", add)
    monkeypatch.setattr(pwd, "getpwnam", find)

    # when two programs of root's come to use it
    with caplog.at_level("WARNING"):
        found = [Account.of(tmp_path / "pgdata") for _ in range(2)]

    # then it was made once, and one line reports it
    assert made == [accounts.SYSTEM_ACCOUNT]
    assert [each.uid for each in found] == [990, 990]
    (line,) = caplog.messages
    assert f"created the system account {accounts.SYSTEM_ACCOUNT} (user id 990" in line


@pytest.mark.processes
def test_the_account_may_be_created_concurrently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act_as(monkeypatch, 0)
    answers = [None, entry(accounts.SYSTEM_ACCOUNT)]
    monkeypatch.setattr(accounts, "_passwd_entry", lambda name: answers.pop(0))
    monkeypatch.setattr(accounts, "find_program", lambda name, system: "/bin/false")
    assert Account.of(tmp_path / "pgdata").uid == 990


def test_a_data_directory_of_a_user_without_a_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(monkeypatch, 0)

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(ConfigurationError, match="user id 4711, which has no name"):
        accounts.passwd_of_owner(4711, tmp_path)


def test_the_account_of_root_is_a_system_account_without_a_login() -> None:
    command = " ".join(accounts.USERADD)
    assert "--system" in command
    assert "nologin" in command


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_PACKAGE", "no_such_package")
    with pytest.raises(ConfigurationError, match="contains no PostgreSQL"):
        binaries.bin_folder()


@pytest.mark.processes
def test_the_package_contains_the_requested_version() -> None:
    output = subprocess.check_output([str(binaries.bin_folder() / "postgres"), "--version"], text=True)
    assert f" {binaries.MAJOR_VERSION}." in output
