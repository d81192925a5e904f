"""Training on two processes, whoever starts them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.train.small_experiment import write_experiment, write_manifest
from tests.train.small_runs import (
    SAME_HOWEVER_SPLIT,
    fit_options,
    fit_words,
    metrics,
    run_python,
)
from train.config import load_config
from train.fit import fit

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
def test_two_processes_train_like_one_with_the_batch_of_both(
    tmp_path: Path, repository: Path
) -> None:
    write_manifest(tmp_path, train=4, val=0)
    config = write_experiment(tmp_path, **SAME_HOWEVER_SPLIT)
    one, two = tmp_path / "one", tmp_path / "two"
    fit(load_config(str(config)), fit_options(tmp_path, one))
    command = fit_words(tmp_path, two, "--devices", "2")
    parallel = run_python(repository, "-m", "train", *command)
    assert parallel.returncode == 0, parallel.stderr
    losses = [[record["loss"] for record in metrics(run)] for run in (one, two)]
    assert len(losses[0]) == 3
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert len(list((two / "tensorboard").iterdir())) == 1, "the first process writes alone"


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "train"),
        ("-m", "lightning.fabric.cli", "--devices", "2", "train/__main__.py"),
    ],
    ids=["torchrun", "fabric run"],
)
def test_processes_of_a_launcher_need_no_options(
    tmp_path: Path, repository: Path, launcher: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, train=2, val=0)
    write_experiment(tmp_path, schedule={"pretrain_epochs": 1, "epochs": 0})
    monkeypatch.setenv("PYTHONPATH", str(repository))
    done = run_python(repository, *launcher, *fit_words(tmp_path, tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    provenance = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert provenance["hardware"].startswith("2 process(es) on cpu")
    assert len(metrics(tmp_path / "run")) == 1
