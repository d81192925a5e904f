"""What the server refuses to start with, and who may come in."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from app.accounts import Accounts, add_user
from app.cli import main
from app.settings import is_loopback
from caiseg import InvalidInput
from tests.app.stand_in import settings

PASSWORD = "correct horse"


@pytest.fixture
def auth(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    add_user(path, "ann", PASSWORD)
    return path


def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(main)
    return app


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_this_machine_needs_no_password(host: str, tmp_path: Path) -> None:
    assert is_loopback(host)
    assert settings(tmp_path, tmp_path, host=host).auth is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_any_other_address_demands_an_auth_file(host: str, tmp_path: Path, auth: Path) -> None:
    with pytest.raises(InvalidInput, match="--auth"):
        settings(tmp_path, tmp_path, host=host)
    assert settings(tmp_path, tmp_path, host=host, auth=auth).host == host


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        settings(tmp_path / "nowhere", tmp_path)


def test_the_command_line_says_one_sentence_and_stops(tmp_path: Path) -> None:
    done = CliRunner().invoke(command(), ["--host", "0.0.0.0", "--checkpoints", str(tmp_path)])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert "--auth FILE" in done.output


def test_a_folder_without_checkpoint_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(command(), ["--checkpoints", str(tmp_path), "--device", "cpu"])
    assert done.exit_code == 2
    assert "no checkpoint" in done.output


def test_add_user_asks_for_the_password_and_lets_that_user_in(tmp_path: Path) -> None:
    file = tmp_path / "users"
    answers = f"{PASSWORD}\n{PASSWORD}\n"
    done = CliRunner().invoke(command(), ["--auth", str(file), "--add-user", "bob"], input=answers)
    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    assert Accounts(file).admits("bob", PASSWORD)


def test_only_the_right_password_of_a_known_user_is_admitted(auth: Path) -> None:
    users = Accounts(auth)
    assert users.admits("ann", PASSWORD)
    assert not users.admits("ann", "wrong horse")
    assert not users.admits("bob", PASSWORD)
    assert not users.admits("", "")


def test_the_file_holds_no_password_and_is_its_owners_alone(auth: Path) -> None:
    assert PASSWORD not in auth.read_text("utf-8")
    assert stat.S_IMODE(auth.stat().st_mode) == 0o600


def test_a_second_user_leaves_the_first(auth: Path) -> None:
    add_user(auth, "bob", "another horse")
    add_user(auth, "ann", "changed horse")
    users = Accounts(auth)
    assert users.admits("bob", "another horse")
    assert users.admits("ann", "changed horse")
    assert not users.admits("ann", PASSWORD)


def test_an_unknown_user_costs_as_many_hashes_as_a_wrong_password(
    auth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = Accounts(auth)
    hashed: list[str] = []
    original = hashlib.scrypt

    def counted(password: bytes, **settings: Any) -> bytes:
        hashed.append(password.decode())
        return original(password, **settings)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    users.admits("ann", "wrong horse")
    users.admits("nobody", "wrong horse")
    assert hashed == ["wrong horse", "wrong horse"]


@pytest.mark.parametrize(
    ("name", "password"), [("", PASSWORD), ("a:b", PASSWORD), ("a\n", PASSWORD), ("a", "short")]
)
def test_unusable_names_and_passwords_are_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(InvalidInput):
        add_user(tmp_path / "users", name, password)
    assert not (tmp_path / "users").exists()


@pytest.mark.parametrize("text", ["ann:secret\n", "ann:md5:1:1:1:AA==:AA==\n", "\n", "\xff"])
def test_a_file_that_is_no_auth_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match="not an auth file"):
        Accounts(file)
