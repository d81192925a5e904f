"""Dockerfile, requirements and hooks say what is there."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


def dockerfile_instructions() -> list[tuple[str, str]]:
    """``(instruction, arguments)`` of each line, comments left out and continuations joined."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    parts = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(instruction, arguments.strip()) for instruction, arguments in parts]


def arguments_of(instruction: str) -> list[str]:
    return [arguments for name, arguments in dockerfile_instructions() if name == instruction]


def test_the_image_copies_what_exists_and_the_builder_gets_it() -> None:
    admitted = {
        line[1:].rstrip("/")
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    copied = [source for line in arguments_of("COPY") for source in shlex.split(line)[:-1]]
    assert {"app.py", "app", "caiseg", "requirements.txt"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), f"COPY {source} names nothing"
        assert source in admitted, f".dockerignore keeps {source} out"


def test_the_image_does_not_run_as_root() -> None:
    instructions = dockerfile_instructions()
    (user,) = arguments_of("USER")
    assert user not in {"root", "0"}
    created = [line for line in arguments_of("RUN") if line.startswith("useradd")]
    assert created[0].split()[-1] == user
    after = [name for name, _ in instructions[instructions.index(("USER", user)) :]]
    assert "RUN" not in after
    assert "COPY" not in after


def test_the_image_starts_the_app_with_options_that_it_has() -> None:
    entry, options = (json.loads(arguments_of(name)[0]) for name in ("ENTRYPOINT", "CMD"))
    assert entry == ["python", "app.py"]
    assert options[options.index("--host") + 1] == "0.0.0.0"
    assert options[options.index("--auth") + 1].startswith("/run/secrets/")
    offered = subprocess.run(
        [sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120
    ).stdout
    for option in (option for option in options if option.startswith("--")):
        assert option in offered


def test_the_image_is_healthy_when_the_exposed_port_answers() -> None:
    (port,) = arguments_of("EXPOSE")
    (check,) = arguments_of("HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + 3 :])
    assert f"http://127.0.0.1:{port}/" in command[-1]
    compile(command[-1], "HEALTHCHECK", "exec")


def test_the_image_is_a_cpu_image_unless_told_otherwise() -> None:
    assert [line for line in arguments_of("ARG") if line.startswith("TORCH_INDEX=")] == [
        "TORCH_INDEX=https://download.pytorch.org/whl/cpu"
    ]
    assert any("${TORCH_INDEX}" in line for line in arguments_of("RUN"))


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_bounded_on_both_sides(name: str) -> None:
    for line in requirements(name):
        assert re.fullmatch(r"[\w.-]+(==[\d.]+|>=[\d.]+,<[\d.]+)", line), line


def test_every_requirement_of_the_app_has_a_reason() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("# "), f"{line} has no reason above it"


def test_hooks_are_local() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]


def make(folder: Path, target: str, **variables: str) -> list[str]:
    """Run make in a folder whose pip only says what it was called with; return those calls."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        ["make", target, *settings], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("pip ")]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, script in {
        "python": "exit 0",
        "pip": 'echo "pip $*"',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    return tmp_path


def test_make_app_installs_once_and_again_when_the_requirements_change(house: Path) -> None:
    install = ["pip install --quiet -r requirements.txt"]
    assert make(house, "app", TORCH_INDEX="") == install
    assert make(house, "app", TORCH_INDEX="") == []
    later = (house / ".venv" / ".app").stat().st_mtime + 5
    os.utime(house / "requirements.txt", (later, later))
    assert make(house, "app", TORCH_INDEX="") == install


def test_make_takes_the_build_of_pytorch_that_is_asked_for(house: Path) -> None:
    first, second = make(house, "app", TORCH_INDEX="https://builds.example")
    assert "--index-url https://builds.example torch==" in first
    assert second == "pip install --quiet -r requirements.txt"


def test_make_leaves_the_build_of_pytorch_to_pip_otherwise(house: Path) -> None:
    assert make(house, "app") == ["pip install --quiet -r requirements.txt"]


def test_make_refuses_an_old_python_with_a_sentence(house: Path) -> None:
    shutil.rmtree(house / ".venv")
    old = house / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "app", f"PYTHON={old}"], cwd=house, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "needs Python 3.10 or newer" in done.stderr
    assert not (house / ".venv").exists()


def test_a_chromium_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", ROOT / ".ci" / "chromium"],
        env={**os.environ, "CHROMIUM": str(tmp_path / "nothing")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert str(tmp_path / "nothing") in done.stderr
