"""Every baseline from training to results: it learns, resumes, is exported and evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from lightning.fabric import Fabric

from caiseg import CheckpointInfo, InvalidInput, load_checkpoint, read_checkpoint_info
from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from tests.train.small_experiment import (
    prepared_cases,
    small_config,
    write_experiment,
    write_manifest,
)
from train.config import ExperimentConfig, load_config
from train.evaluation.evaluate import EvaluateOptions, evaluate
from train.evaluation.protocol import EvaluationProtocol
from train.export import export
from train.methods import METHODS, load_method
from train.methods.checkpoints import load_network, save_network
from train.methods.trainable import NETWORKS, build_network
from train.run_folder import RunFolder
from train.trainer import Trainer

TRAINED = [name for name, entry in METHODS.items() if entry.trainable and name != "caiseg"]
SECTIONS: dict[str, Any] = {
    "schedule": {
        "pretrain_epochs": 2, "epochs": 4, "batch_size": 1, "learning_rate": 5e-3,
        "validate_every": 3,
    },
    "clicks": {"foreground": [1, 3], "background": [0, 3], "rounds": [1, 2]},
    "augmentation": {"p": 0.0},
    "loss": {"mu": [0, 0]},
}  # fmt: skip


class Interrupted(Exception):
    """Somebody pulled the plug."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    write_manifest(folder, train=1, val=2)
    write_experiment(folder, **SECTIONS)
    return folder


def train(folder: Path, experiment: Path, method: str, stop_after: int | None) -> None:
    """Train, or go on; stop after so many steps, the last of which is lost."""

    def report(record: dict[str, Any]) -> None:
        if stop_after is not None and record.get("done") == stop_after:
            raise Interrupted

    cases = prepared_cases(3)
    trainer = Trainer(
        load_config(str(experiment), [f"method={method}"]), cases, cases[:1], RunFolder(folder),
        Fabric(accelerator="cpu", devices=1), save_every=0, report=report,
    )  # fmt: skip
    if (folder / "state.pt").is_file():
        trainer.resume()
    trainer.run()


@pytest.mark.slow
@pytest.mark.parametrize("method", TRAINED)
def test_a_baseline_learns_resumes_and_is_evaluated(
    method: str, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        train(run, data / "small.yaml", method, stop_after=8)
    train(run, data / "small.yaml", method, stop_after=None)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {record["epoch"]: record["loss"] for record in records if "loss" in record}
    assert losses[2] < losses[1], "without clicks"
    assert losses[6] < losses[3], "with clicks"

    RunFolder(run).write_provenance({"manifest": "cases.csv"})
    checkpoint = tmp_path / "baseline.safetensors"
    info = export(run, checkpoint)
    assert info.method == method
    best = RunFolder(run).read(run / "best.pt")["network"]
    network, _ = load_network(checkpoint)
    for name, weights in network.state_dict().items():
        assert torch.allclose(weights, best[name], atol=1e-2, rtol=1e-3), name

    out = tmp_path / "out"
    summary = evaluate(
        EvaluateOptions(
            checkpoint, data / "cases.csv", "val", out, EvaluationProtocol(clicks=2), device="cpu"
        )
    )
    assert summary["method"] == method
    assert summary["data"]["evaluated"] == 2
    assert summary["checkpoint"]["sha256"] == load_method(method, checkpoint, "cpu").identity


def test_the_fit_command_trains_the_method_that_it_is_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_train(
        monkeypatch, "fit", "--config", data / "small.yaml", "--manifest", data / "cases.csv",
        "--out", tmp_path, "--method", "ritm3d", "--accelerator", "cpu", "--workers", "0",
        "--threads", "1", "--set", "schedule.pretrain_epochs=0", "--set", "schedule.epochs=1",
    )  # fmt: skip
    best = RunFolder(tmp_path).read(tmp_path / "best.pt")
    assert json.loads(best["config"])["method"] == "ritm3d"
    assert best["network"]["backbone.input_stage.unit.0.weight"].shape[1] == 4
    assert "--set method=ritm3d" in RunFolder(tmp_path).read_provenance()["command"]


def test_the_config_the_loop_and_the_command_know_the_same_methods() -> None:
    (configured,) = [get_args(ExperimentConfig.model_fields["method"].annotation)]
    assert set(configured) == set(NETWORKS) == {"caiseg", *TRAINED}


@pytest.mark.parametrize("method", TRAINED)
def test_a_checkpoint_gives_the_baseline_back_and_the_app_refuses_it(
    method: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = small_config()
    network = build_network(method, config.network)
    info = CheckpointInfo(
        method=method, name="small", network=config.network, preprocessing=config.preprocessing
    )
    path = tmp_path / "baseline.safetensors"
    save_network(path, network, info)
    loaded, described = load_network(path)
    assert described == info
    assert type(loaded) is type(network)
    for name, weights in loaded.state_dict().items():
        assert torch.equal(weights, network.state_dict()[name].half().float()), name
    assert load_method(method, path, "cpu").modality == "MR"
    for read in (load_checkpoint, read_checkpoint_info):
        with pytest.raises(InvalidInput, match=f"holds the weights of {method}, a baseline"):
            read(path)
    with pytest.raises(ValueError, match="does not describe"):
        save_network(path, build_network("caiseg", config.network), info)


def test_weights_are_refused_under_the_name_of_another_method(tmp_path: Path) -> None:
    caiseg = write_small_checkpoint(tmp_path / "small.safetensors")
    assert load_method("caiseg", caiseg, "cpu").name == "caiseg"
    with pytest.raises(InvalidInput, match="the weights of caiseg, not of ritm3d"):
        load_method("ritm3d", caiseg, "cpu")


@pytest.mark.parametrize("method", ["caiseg", *TRAINED])
def test_a_trained_method_asks_for_its_weights(method: str) -> None:
    with pytest.raises(InvalidInput, match=f"{method} needs weights"):
        load_method(method, None, "cpu")


def test_an_unknown_method_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match="'unet' is not a method; choose one of caiseg"):
        load_method("unet")
