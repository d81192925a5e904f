"""The commands of docs/evaluation.md are commands that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from train.cli import app
from train.methods import METHODS
from train.methods.region import MARGIN_MM, MAX_VOXELS

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "evaluation.md").read_text("utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if " -m train " in line]


def test_the_page_shows_commands() -> None:
    names = {line.split(" -m train ")[1].split()[0] for line in LINES}
    assert names == {"fit", "export", "evaluate", "compare", "ablate", "explain"}


@pytest.mark.parametrize("line", LINES)
def test_a_command_has_the_options_that_the_page_shows(line: str) -> None:
    name, *words = shlex.split(line.split(" -m train ")[1])
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.make_context(name, words).params


def test_the_page_names_every_method_and_the_bounds_of_the_classical_ones() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", PAGE, flags=re.MULTILINE)
    assert rows == list(METHODS)
    assert f"{MARGIN_MM:g} mm beyond the clicks" in PAGE
    assert f"at most {MAX_VOXELS // 1000} {MAX_VOXELS % 1000} voxels" in PAGE


def test_options_and_files_named_in_the_text_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    known = {
        option for command in commands.values() for item in command.params for option in item.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known
    named = re.findall(r"`((?:train|caiseg)/[\w/.]+)`", PAGE)
    assert all((ROOT / file).exists() for file in named)
