"""The commands of docs/training.md are commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from train.cli import app
from train.config import load_config
from train.config_document import CONFIG_FOLDER

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "training.md").read_text("utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if " -m train " in line]


def test_the_page_shows_commands() -> None:
    assert len(LINES) >= 6


@pytest.mark.parametrize("line", LINES)
def test_a_command_has_the_options_that_the_page_shows(line: str) -> None:
    name, *words = shlex.split(line.split(" -m train ")[1])
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    arguments = [word for word in words if not word.startswith("$")]
    parsed = command.make_context(name, arguments).params
    if "config" in parsed:
        load_config(parsed["config"], parsed["override"] or ())
    if name == "fit":
        processes = (parsed["devices"] or 1) * (parsed["nodes"] or 1)
        config = load_config(parsed["config"], parsed["override"] or ())
        assert config.schedule.batch_size % processes == 0


def test_options_and_files_named_in_the_text_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {
        option for command in commands.values() for item in command.params for option in item.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known
    named = set(re.findall(r"`((?:train|caiseg)/[\w/.]+)`", PAGE))
    assert named
    assert all((Path(__file__).resolve().parents[2] / file).exists() for file in named)


def test_every_built_in_config_is_listed() -> None:
    assert {path.stem for path in CONFIG_FOLDER.glob("*.yaml")} <= set(re.findall(r"`(\w+)`", PAGE))
