"""A card names the command that made the weights, and the weights that they started from."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer.main

from caiseg.checkpoint import file_hash
from tests.train.command_line import run_train
from tests.train.small_experiment import write_experiment, write_manifest
from tests.train.small_runs import fit_words
from train.cli import app
from train.export import export
from train.provenance import fit_command
from train.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_card_has_the_whole_command_and_what_the_run_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, train=1, val=0)
    write_experiment(tmp_path, schedule={"pretrain_epochs": 0, "epochs": 1})
    first, second = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    run_train(monkeypatch, *fit_words(tmp_path, tmp_path / "one", "--set", "seed=3"))
    export(tmp_path / "one", first)
    words = ("--init", str(first), "--devices", "1", "--set", "loss.mu=[0.3, 0.5]")
    run_train(monkeypatch, *fit_words(tmp_path, tmp_path / "two", *words))
    export(tmp_path / "two", second)

    card = second.with_suffix(".md").read_text(encoding="utf-8")
    command = RunFolder(tmp_path / "two").read_provenance()["command"]
    assert f"| command | {command} |" in card
    for option in ("--init one.safetensors", "--devices 1", "--accelerator cpu"):
        assert option in command
    assert shlex.split(command)[-2:] == ["--set", "loss.mu=[0.3, 0.5]"]
    assert file_hash(first)[:16] in card
    assert "--set seed=3" in card, "the command of the run that this one started from"
    assert str(tmp_path) not in card


def test_the_command_is_one_that_there_is() -> None:
    words = fit_command(
        "brain_flair", manifest=Path("/home/me/scans.csv"), initial=Path("/home/me/a.safetensors"),
        overrides=("seed=2", "method=vnet"), accelerator="cuda", devices=4, nodes=2,
    )  # fmt: skip
    fit = typer.main.get_command(app).commands["fit"]  # type: ignore[attr-defined]
    parsed = fit.make_context("fit", words[4:]).params
    assert parsed["override"] == ["seed=2", "method=vnet"]
    assert (parsed["manifest"], parsed["init"]) == (Path("scans.csv"), Path("a.safetensors"))
    assert (parsed["accelerator"], parsed["devices"], parsed["nodes"]) == ("cuda", 4, 2)


def test_what_was_not_asked_for_is_not_named() -> None:
    assert fit_command("synthetic") == [
        "python", "-m", "train", "fit", "--config", "synthetic", "--out", "RUN",
    ]  # fmt: skip
