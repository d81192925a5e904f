"""Whole trainings of a tiny network: what they leave, and how they are killed and resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from caiseg.errors import InvalidInput
from caiseg.network import CAISeg
from tests.train.command_line import run_train
from tests.train.small_experiment import write_experiment, write_manifest
from tests.train.small_runs import fit_options, fit_words, metrics, read, run_python
from train.config import load_config
from train.fit import fit
from train.run_folder import RunFolder
from train.trainer import VALIDATION_CLICKS, Trainer

pytestmark = pytest.mark.usefixtures("one_thread")

EPOCHS = 4
"""One of VNet, three of CAISeg; five cases in batches of two make three steps each."""
SECTIONS: dict[str, Any] = {
    "schedule": {"epochs": EPOCHS - 1, "ema_decay": 0.9, "gradient_clip": 5.0, "warmup_steps": 2}
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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the experiment, the manifest of five training cases and one for validation."""
    folder = tmp_path_factory.mktemp("training")
    write_manifest(folder, train=5, val=1)
    write_experiment(folder, **SECTIONS)
    return folder


@pytest.fixture(scope="module")
def uninterrupted(data: Path, one_thread: None) -> Path:
    out = data / "uninterrupted"
    fit(load_config(str(data / "small.yaml")), fit_options(data, out))
    return out


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
    command = fit_words(data, out, "--save-every", "0")
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


def test_a_run_without_validation_says_so_and_keeps_its_last_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(tmp_path, train=2, val=0)
    experiment = write_experiment(tmp_path, schedule={"pretrain_epochs": 0, "epochs": 1})
    fit(load_config(str(experiment)), fit_options(tmp_path, tmp_path / "run"))
    assert "No case is in the split 'val'" in " ".join(capsys.readouterr().out.split())
    last, best = (read(tmp_path / "run" / name)["network"] for name in ("state.pt", "best.pt"))
    assert all(torch.equal(tensor, last[name]) for name, tensor in best.items())


@pytest.mark.parametrize(
    ("instructions", "computed"), [("AVX2", "32 bits"), ("AVX512", "bfloat16")]
)
def test_a_processor_without_bfloat16_is_told_of_and_recorded(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    instructions: str,
    computed: str,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)
    monkeypatch.setattr(Trainer, "run", lambda _: None)
    wished = load_config(str(data / "small.yaml"), ["schedule.precision=bf16"])
    fit(wished, fit_options(data, tmp_path / "run"))
    told = "no instructions for bfloat16" in " ".join(capsys.readouterr().out.split())
    assert told == (computed == "32 bits")
    assert RunFolder(tmp_path / "run").read_provenance()["precision"] == computed


def test_a_new_run_does_not_overwrite_another(data: Path, uninterrupted: Path) -> None:
    before = (uninterrupted / "state.pt").read_bytes()
    with pytest.raises(InvalidInput, match="already holds a run"):
        fit(load_config(str(data / "small.yaml")), fit_options(data, uninterrupted))
    assert (uninterrupted / "state.pt").read_bytes() == before


def test_resuming_with_another_config_is_refused_in_one_sentence(
    data: Path,
    uninterrupted: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {file.name: file.read_bytes() for file in uninterrupted.iterdir() if file.is_file()}
    command = fit_words(data, uninterrupted, "--resume", "--set", "loss.nu=0.4")
    run_train(monkeypatch, *command, status=2)
    sentence = capsys.readouterr().err.strip()
    assert "belongs to a run with another config" in sentence
    assert "\n" not in sentence
    after = {file.name: file.read_bytes() for file in uninterrupted.iterdir() if file.is_file()}
    assert after == before


def test_resuming_where_nothing_was_saved_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="start the run without --resume"):
        fit(load_config(str(data / "small.yaml")), fit_options(data, tmp_path / "new", resume=True))


def test_resuming_on_other_cases_is_refused_in_one_sentence(
    data: Path,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = (data / "cases.csv").read_text(encoding="utf-8").splitlines()
    (data / "fewer.csv").write_text("\n".join([*rows[:3], rows[-1]]), encoding="utf-8")
    words = fit_words(data, uninterrupted, "--resume", "--manifest", str(data / "fewer.csv"))
    before = (uninterrupted / "state.pt").read_bytes()
    run_train(monkeypatch, *words, status=2)
    sentence = capsys.readouterr().err.strip()
    assert "belongs to a run on other cases or another split" in sentence
    assert "\n" not in sentence
    assert (uninterrupted / "state.pt").read_bytes() == before


def test_a_run_folder_that_is_a_file_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    for resume in (False, True):
        options = fit_options(data, tmp_path / "file", resume=resume)
        with pytest.raises(InvalidInput, match=r"file is a file; name a folder for the run"):
            fit(load_config(str(data / "small.yaml")), options)


def test_a_batch_that_cannot_be_shared_is_refused_before_any_scan_is_read(
    data: Path, tmp_path: Path
) -> None:
    options = replace(fit_options(data, tmp_path / "run"), cache=tmp_path / "cache")
    config = load_config(str(data / "small.yaml"), ["schedule.accumulate=3"])
    with pytest.raises(InvalidInput, match=r"schedule.accumulate 3"):
        fit(config, options)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("option", ["--workers", "--threads"])
def test_a_number_below_0_is_refused(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    run_train(monkeypatch, *fit_words(data, tmp_path / "run", option, "-1"), status=2)
    assert option in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_damaged_state_is_refused(data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    content = (uninterrupted / "state.pt").read_bytes()
    (tmp_path / "state.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidInput, match=r"state.pt is damaged"):
        fit(load_config(str(data / "small.yaml")), fit_options(data, tmp_path, resume=True))


def test_resuming_a_finished_run_changes_no_weight(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    (tmp_path / "state.pt").write_bytes((uninterrupted / "state.pt").read_bytes())
    fit(load_config(str(data / "small.yaml")), fit_options(data, tmp_path, resume=True))
    expected = read(uninterrupted / "state.pt")["network"]
    for name, tensor in read(tmp_path / "state.pt")["network"].items():
        assert torch.equal(tensor, expected[name])
