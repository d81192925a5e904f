"""Whole trainings of a tiny network: killed and resumed, on two processes, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor

from caiseg.errors import InvalidInput
from caiseg.network import CAISeg
from tests.train.small_experiment import (
    prepared_cases,
    small_config,
    write_experiment,
    write_manifest,
)
from train import cli
from train.config import load_config
from train.fit import FitOptions, fit
from train.run_folder import RunFolder
from train.schedule import learning_rate
from train.trainer import VALIDATION_CLICKS, Trainer

EPOCHS = 4
"""One of VNet, three of CAISeg; five cases in batches of two make three steps each."""
SECTIONS: dict[str, Any] = {
    "schedule": {"epochs": EPOCHS - 1, "ema_decay": 0.9, "gradient_clip": 5.0, "warmup_steps": 2}
}
SAME_ON_TWO_PROCESSES: dict[str, Any] = {
    # Each process drops paths of its own, and a rounding error may turn a voxel of a simulated
    # round's mask and with it a later click.
    "network": {"drop_path": 0.0},
    "clicks": {"rounds": [1, 1]},
    # Adam makes a rounding error in a gradient near 0 as large a step as any.
    "schedule": {"pretrain_epochs": 1, "epochs": 2, "learning_rate": 1e-4},
}

KILLED_IN_THE_THIRD_EPOCH = """
import os, signal
from train import cli, run_folder

save = run_folder.RunFolder.save

def save_until_killed(self, path, document):
    if (document["epoch"], document.get("done_in_epoch")) == (2, 2):
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, path, document)

run_folder.RunFolder.save = save_until_killed
cli.main()
"""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Sums depend on the number of threads, and the commands run with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the experiment, the manifest of five training cases and one for validation."""
    folder = tmp_path_factory.mktemp("training")
    write_manifest(folder, train=5, val=1)
    write_experiment(folder, **SECTIONS)
    return folder


def options(data: Path, out: Path, *, resume: bool = False) -> FitOptions:
    return FitOptions(
        config_name="small", manifest=data / "cases.csv", out=out, resume=resume,
        cache=data / "cache", accelerator="cpu", workers=0,
    )  # fmt: skip


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    return [
        "fit", "--config", str(data / "small.yaml"), "--manifest", str(data / "cases.csv"),
        "--out", str(out), "--cache", str(data / "cache"), "--accelerator", "cpu",
        "--workers", "0", "--threads", "1", *more,
    ]  # fmt: skip


def run_python(repository: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=repository,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def uninterrupted(data: Path) -> Path:
    out = data / "uninterrupted"
    fit(load_config(str(data / "small.yaml")), options(data, out))
    return out


def read(path: Path) -> dict[str, Any]:
    return RunFolder(path.parent).read(path)


def metrics(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if "epoch" in record]


def tensors(document: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a saved document, with the keys that lead to it."""
    if isinstance(document, Tensor):
        yield name, document
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list | tuple):
        items = enumerate(document)
    for key, value in items:
        yield from tensors(value, f"{name}.{key}")


def test_a_run_leaves_state_metrics_and_best_weights(uninterrupted: Path) -> None:
    assert {"state.pt", "best.pt", "metrics.jsonl"} <= {f.name for f in uninterrupted.iterdir()}
    assert not list(uninterrupted.glob(".*part")), "a half-written file was left behind"
    records = metrics(uninterrupted)
    assert [record["epoch"] for record in records] == list(range(1, EPOCHS + 1))
    assert all(record["loss"] > 0 for record in records)
    assert [len(record["dice"]) for record in records] == [1, 4, 4, 4], "VNet takes no clicks"
    assert all(0 <= value <= 1 for record in records for value in record["dice"])


def test_best_weights_are_those_with_the_best_dice_after_three_clicks(uninterrupted: Path) -> None:
    best = read(uninterrupted / "best.pt")
    after_clicks = {
        record["epoch"]: record["dice"][VALIDATION_CLICKS]
        for record in metrics(uninterrupted)
        if len(record["dice"]) > 1
    }
    assert best["dice"][VALIDATION_CLICKS] == max(after_clicks.values())
    assert after_clicks[best["epoch"]] == max(after_clicks.values())


def test_the_moving_average_is_what_is_exported(uninterrupted: Path) -> None:
    best, state = read(uninterrupted / "best.pt"), read(uninterrupted / "state.pt")
    network = CAISeg(load_config(str(uninterrupted.parent / "small.yaml")).network)
    network.load_state_dict(best["network"])
    if best["epoch"] == EPOCHS:
        for name, tensor in best["network"].items():
            assert torch.equal(tensor, state["average"][f"module.{name}"])
    assert not all(
        torch.equal(tensor, state["network"][name]) for name, tensor in best["network"].items()
    )


def test_all_weights_have_been_trained(uninterrupted: Path) -> None:
    torch.manual_seed(0)
    first = CAISeg(load_config(str(uninterrupted.parent / "small.yaml")).network).state_dict()
    last = read(uninterrupted / "state.pt")["network"]
    unchanged = [name for name, tensor in first.items() if torch.equal(tensor, last[name])]
    assert not unchanged


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(
    data: Path, uninterrupted: Path, repository: Path
) -> None:
    out = data / "killed"
    command = arguments(data, out, "--save-every", "0")
    killed = run_python(repository, "-c", KILLED_IN_THE_THIRD_EPOCH, *command)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state = read(out / "state.pt")
    assert (state["epoch"], state["done_in_epoch"]) == (2, 1)
    assert [record["epoch"] for record in metrics(out)] == [1, 2]

    resumed = run_python(repository, "-m", "train", *command, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    for name in ("state.pt", "best.pt"):
        expected = dict(tensors(read(uninterrupted / name)))
        found = dict(tensors(read(out / name)))
        assert found.keys() == expected.keys()
        for key, tensor in found.items():
            assert torch.equal(tensor, expected[key]), f"{name} {key}"
    dice = [[record["dice"] for record in metrics(run)] for run in (out, uninterrupted)]
    assert dice[0] == dice[1]


@pytest.mark.slow
def test_two_processes_train_like_one_with_the_batch_of_both(
    tmp_path: Path, repository: Path
) -> None:
    write_manifest(tmp_path, train=4, val=0)
    config = write_experiment(tmp_path, **SAME_ON_TWO_PROCESSES)
    one, two = tmp_path / "one", tmp_path / "two"
    fit(load_config(str(config)), options(tmp_path, one))
    command = arguments(tmp_path, two, "--devices", "2")
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
    done = run_python(repository, *launcher, *arguments(tmp_path, tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    provenance = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert provenance["hardware"].startswith("2 process(es) on cpu")
    assert len(metrics(tmp_path / "run")) == 1


def trainer(folder: Path, **sections: Any) -> Trainer:
    fabric = Fabric(accelerator="cpu", devices=1)
    return Trainer(small_config(**sections), prepared_cases(3), [], RunFolder(folder), fabric)


def test_a_batch_in_parts_makes_the_steps_of_the_whole_batch(tmp_path: Path) -> None:
    courses = []
    for accumulate in (1, 2):
        schedule = SAME_ON_TWO_PROCESSES["schedule"] | {"accumulate": accumulate}
        run = trainer(
            tmp_path / str(accumulate), **(SAME_ON_TWO_PROCESSES | {"schedule": schedule})
        )
        sizes: list[int] = []
        run.step_module.register_forward_pre_hook(
            lambda module, inputs, sizes=sizes: sizes.append(len(inputs[0]["image"]))
        )
        run.run()
        assert max(sizes) == 2 // accumulate
        courses.append((metrics(tmp_path / str(accumulate)), run.network.state_dict()))
    (records, weights), (parts_records, parts_weights) = courses
    losses = [[record["loss"] for record in course] for course in (records, parts_records)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, tensor in weights.items():
        # Of these only differences count, so their gradient is nothing but rounding errors.
        if not name.endswith(("key.bias", "projection.bias", "mask_fusion.bias")):
            torch.testing.assert_close(parts_weights[name], tensor, rtol=1e-3, atol=1e-4)


def test_parts_that_a_batch_does_not_have_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"schedule.accumulate 3"):
        trainer(tmp_path, schedule={"batch_size": 4, "accumulate": 3})


def test_a_gradient_that_is_no_number_stops_the_training_before_the_weights(
    tmp_path: Path,
) -> None:
    run = trainer(tmp_path)
    before = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    batch = next(run.batches())
    batch["image"][0, 0, 3, 3, 3] = torch.nan
    with pytest.raises(InvalidInput, match=r"gradient of step 1 \(epoch 1\) is not finite"):
        run.learn(batch)
    for name, tensor in run.network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_new_run_does_not_overwrite_another(data: Path, uninterrupted: Path) -> None:
    before = (uninterrupted / "state.pt").read_bytes()
    with pytest.raises(InvalidInput, match="already holds a run"):
        fit(load_config(str(data / "small.yaml")), options(data, uninterrupted))
    assert (uninterrupted / "state.pt").read_bytes() == before


def test_resuming_with_another_config_is_refused_in_one_sentence(
    data: Path,
    uninterrupted: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {file.name: file.read_bytes() for file in uninterrupted.iterdir() if file.is_file()}
    command = arguments(data, uninterrupted, "--resume", "--set", "loss.nu=0.4")
    monkeypatch.setattr(sys, "argv", ["train", *command])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    sentence = capsys.readouterr().err.strip()
    assert caught.value.code == 2
    assert "belongs to a run with another config" in sentence
    assert "\n" not in sentence
    after = {file.name: file.read_bytes() for file in uninterrupted.iterdir() if file.is_file()}
    assert after == before


def test_resuming_where_nothing_was_saved_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="start the run without --resume"):
        fit(load_config(str(data / "small.yaml")), options(data, tmp_path / "new", resume=True))


def test_a_damaged_state_is_refused(data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    content = (uninterrupted / "state.pt").read_bytes()
    (tmp_path / "state.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidInput, match=r"state.pt is damaged"):
        fit(load_config(str(data / "small.yaml")), options(data, tmp_path, resume=True))


def test_resuming_a_finished_run_changes_no_weight(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    (tmp_path / "state.pt").write_bytes((uninterrupted / "state.pt").read_bytes())
    fit(load_config(str(data / "small.yaml")), options(data, tmp_path, resume=True))
    expected = read(uninterrupted / "state.pt")["network"]
    for name, tensor in read(tmp_path / "state.pt")["network"].items():
        assert torch.equal(tensor, expected[name])


def test_a_batch_that_processes_cannot_share_is_refused_by_name(tmp_path: Path) -> None:
    three: Any = SimpleNamespace(world_size=3)
    with pytest.raises(InvalidInput, match=r"schedule.batch_size: 2 .* 3 processes"):
        Trainer(small_config(), prepared_cases(1), [], RunFolder(tmp_path), three)


def rates(steps: int, **schedule: Any) -> list[float]:
    settings = small_config(schedule=schedule).schedule
    return [learning_rate(settings, step, steps_per_epoch=10) for step in range(steps)]


def test_the_rate_steps_down_by_half() -> None:
    course = rates(60, pretrain_epochs=3, epochs=3, decay="step", decay_epochs=2)
    assert course[0] == course[19] == 1e-3
    assert course[20] == course[39] == 5e-4
    assert course[40] == course[59] == 2.5e-4


def test_the_cosine_falls_over_both_phases() -> None:
    course = rates(60, pretrain_epochs=3, epochs=3, decay="cosine")
    assert course[0] == 1e-3
    assert course[30] == pytest.approx(5e-4)
    assert course == sorted(course, reverse=True)
    assert 0 < course[-1] < 1e-5


def test_the_rate_warms_up_at_the_start_of_each_phase() -> None:
    course = rates(60, pretrain_epochs=3, epochs=3, decay="step", warmup_steps=5)
    for start in (0, 30):
        assert course[start : start + 6] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1e-3])
