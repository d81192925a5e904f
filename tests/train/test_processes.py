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
from train.processes import processes_here, threads_of_each

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


def test_the_processes_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert threads_of_each(processes_here(None)) == 8
    assert threads_of_each(processes_here(4)) == 2
    assert threads_of_each(processes_here(16)) == 1
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert threads_of_each(processes_here(None)) == 4, "as a launcher started them"


LOST = """
import os, signal
from train import cli, trainer

learn = trainer.Trainer.learn

def learn_until_killed(self, batch):
    if (self.fabric.global_rank, self.steps_done) == (1, 3):
        os.kill(os.getpid(), signal.SIGKILL)
    return learn(self, batch)

trainer.Trainer.learn = learn_until_killed
cli.main()
"""
FULL_DISK = """
from train import cli, run_folder
from train.files import CannotWrite

def save_on_a_full_disk(self, path, document):
    raise CannotWrite("The disk is full.")

run_folder.RunFolder.save = save_on_a_full_disk
cli.main()
"""


def losing_a_process(
    folder: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> str:
    """What a training on two processes says that loses one of them."""
    script = folder / "losing.py"
    script.write_text(program, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(repository))
    words = fit_words(folder, folder / "two", "--devices", "2", "--save-every", "0")
    ended = run_python(repository, str(script), *words)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "Another process of this training was lost" in ended.stderr
    return ended.stderr


@pytest.mark.slow
def test_a_lost_process_ends_the_other_with_a_sentence_and_resume_goes_on_like_one_process(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, train=4, val=1)
    config = write_experiment(tmp_path, **SAME_HOWEVER_SPLIT)
    losing_a_process(tmp_path, repository, monkeypatch, LOST)
    words = fit_words(tmp_path, tmp_path / "two", "--devices", "2", "--resume")
    resumed = run_python(repository, "-m", "train", *words)
    assert resumed.returncode == 0, resumed.stderr
    fit(load_config(str(config)), fit_options(tmp_path, tmp_path / "one"))
    one, two = (metrics(tmp_path / run) for run in ("one", "two"))
    for expected, found in zip(one, two, strict=True):
        assert found["dice"] == pytest.approx(expected["dice"], abs=0.01)
    # The epoch that was resumed is the mean of its later steps alone.
    assert [two[n]["loss"] for n in (0, 2)] == pytest.approx(
        [one[n]["loss"] for n in (0, 2)], rel=1e-5
    )
    assert (tmp_path / "two" / "best.pt").is_file()


@pytest.mark.slow
def test_a_full_disk_ends_both_processes_with_a_sentence(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, train=2, val=0)
    write_experiment(tmp_path, **SAME_HOWEVER_SPLIT)
    said = losing_a_process(tmp_path, repository, monkeypatch, FULL_DISK)
    assert "The disk is full." in said


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
