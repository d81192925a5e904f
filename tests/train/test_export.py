"""From a run to a served checkpoint with its card, and from a checkpoint to the next run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric

from caiseg import InvalidInput, load_checkpoint
from tests.train.small_experiment import prepared_cases, small_config
from train.config import ExperimentConfig
from train.export import ExportOptions, export, read_figures
from train.run_folder import RunFolder
from train.trainer import Trainer

PROVENANCE = {"manifest": "cases.csv", "split hash": "0123456789abcdef", "commit": "abc1234"}


def trainer_of(folder: Path, config: ExperimentConfig, val: int = 1) -> Trainer:
    fabric = Fabric(accelerator="cpu", devices=1)
    cases = prepared_cases(2)
    return Trainer(config, cases, cases[:val], RunFolder(folder), fabric)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    trainer = trainer_of(folder, small_config(schedule={"pretrain_epochs": 0, "epochs": 1}))
    trainer.run()
    trainer.folder.write_provenance(PROVENANCE)
    return folder


def test_the_checkpoint_holds_the_best_weights_and_where_they_come_from(
    run: Path, tmp_path: Path
) -> None:
    export(run, tmp_path / "small.safetensors")
    checkpoint = load_checkpoint(tmp_path / "small.safetensors")
    best = torch.load(RunFolder(run).best_path, weights_only=True)["network"]

    for name, tensor in checkpoint.network.state_dict().items():
        torch.testing.assert_close(tensor, best[name].half().float())
    assert checkpoint.info.provenance["split hash"] == PROVENANCE["split hash"]
    assert checkpoint.info.provenance["experiment"]["name"] == "small"


def test_the_card_says_what_the_checkpoint_is_and_is_not(run: Path, tmp_path: Path) -> None:
    figures: dict[str, Any] = {"Dice after": {"5 clicks": 0.8125}}
    export(run, tmp_path / "small.safetensors", figures)
    card = (tmp_path / "small.md").read_text(encoding="utf-8")

    for phrase in ("# small", "Not a medical device", "abc1234", "0.8125", "not stated"):
        assert phrase in card


def test_a_run_that_has_kept_no_weights_yet_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no weights to export yet"):
        export(tmp_path / "run", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_without_a_validation_case_the_last_weights_are_exported_and_the_card_says_so(
    run: Path, tmp_path: Path
) -> None:
    sections = {"schedule": {"pretrain_epochs": 1, "epochs": 1, "ema_decay": 0.9}}
    trainer = trainer_of(tmp_path / "run", small_config(**sections), val=0)
    trainer.run()
    trainer.folder.write_provenance(PROVENANCE)
    out = tmp_path / "small.safetensors"
    export(trainer.folder.path, out)

    last = trainer.evaluated_network.state_dict()
    for name, tensor in load_checkpoint(out).network.state_dict().items():
        torch.testing.assert_close(tensor, last[name].half().float())
    assert "no val case to choose by" in out.with_suffix(".md").read_text(encoding="utf-8")
    export(run, out)
    assert "best Dice after 3 clicks" in out.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["model.md", "model", "model.pt"])
def test_a_checkpoint_of_another_suffix_is_refused(run: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"has to end in \.safetensors"):
        export(run, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_the_mean_of_two_runs_is_written_and_both_are_named(run: Path, tmp_path: Path) -> None:
    config = small_config(schedule={"pretrain_epochs": 0, "epochs": 1})
    other = trainer_of(tmp_path / "other", config.model_copy(update={"seed": 5}))
    other.run()
    other.folder.write_provenance(PROVENANCE | {"commit": "def5678"})
    out = tmp_path / "small.safetensors"
    export(run, out, options=ExportOptions(average=(other.folder.path,)))
    checkpoint = load_checkpoint(out)
    first, second = (
        torch.load(RunFolder(folder).best_path, weights_only=True)["network"]
        for folder in (run, other.folder.path)
    )

    for name, tensor in checkpoint.network.state_dict().items():
        mean = (first[name] + second[name]) / 2
        torch.testing.assert_close(tensor, mean.half().float())
    for commit in ("abc1234", "def5678"):
        assert commit in out.with_suffix(".md").read_text(encoding="utf-8")


def test_a_checkpoint_is_averaged_with_the_run_that_started_from_it(
    run: Path, tmp_path: Path
) -> None:
    served = tmp_path / "served.safetensors"
    export(run, served, options=ExportOptions(query_scale=0.5))
    out = tmp_path / "mean.safetensors"
    export(run, out, options=ExportOptions(average=(served,)))
    best = torch.load(RunFolder(run).best_path, weights_only=True)["network"]
    before, checkpoint = load_checkpoint(served), load_checkpoint(out)

    for name, tensor in checkpoint.network.state_dict().items():
        mean = (best[name] + before.network.state_dict()[name]) / 2
        torch.testing.assert_close(tensor, mean.half().float())
    made = checkpoint.info.provenance["averaged with checkpoint 2"]
    assert before.sha256.startswith(made["sha256"])


def test_the_query_scale_changes_the_affinity_alone(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.safetensors"
    export(run, out, options=ExportOptions(query_scale=0.5))
    checkpoint = load_checkpoint(out)
    best = torch.load(RunFolder(run).best_path, weights_only=True)["network"]

    for name, tensor in checkpoint.network.state_dict().items():
        factor = 0.5 if name.startswith("interaction.clustering.projection.") else 1.0
        torch.testing.assert_close(tensor, (factor * best[name]).half().float())
    assert "query scale" in out.with_suffix(".md").read_text(encoding="utf-8")


def test_networks_of_other_sizes_are_not_averaged(run: Path, tmp_path: Path) -> None:
    other = trainer_of(
        tmp_path / "other",
        small_config(
            network={"affinity_heads": 4, "base_channels": 4},
            schedule={"pretrain_epochs": 0, "epochs": 1},
        ),
    )
    other.run()
    other.folder.write_provenance(PROVENANCE)
    with pytest.raises(InvalidInput, match="another network"):
        export(
            run, tmp_path / "out.safetensors", options=ExportOptions(average=(other.folder.path,))
        )
    assert not (tmp_path / "out.safetensors").exists()


def test_figures_come_from_an_evaluation_only(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")

    with pytest.raises(InvalidInput, match="not the summary of an evaluation"):
        read_figures(tmp_path / "summary.json")


def test_a_training_may_start_from_a_checkpoint(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "small.safetensors")
    weights = load_checkpoint(tmp_path / "small.safetensors").network
    trainer = trainer_of(tmp_path / "next", small_config(schedule={"ema_decay": 0.9}))
    trainer.start_from(weights)

    for network in (trainer.network, trainer.evaluated_network):
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(tensor, weights.state_dict()[name])


def test_a_checkpoint_of_another_network_is_refused_as_a_start(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "small.safetensors")
    weights = load_checkpoint(tmp_path / "small.safetensors").network
    trainer = trainer_of(tmp_path / "next", small_config(network={"kernel_size": 1}))

    with pytest.raises(InvalidInput, match="other sizes"):
        trainer.start_from(weights)
