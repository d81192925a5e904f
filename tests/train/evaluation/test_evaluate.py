"""The command: resuming, cases that cannot be used, and a run from end to end."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import typer.main
from rich.console import Console

from caiseg import CAISegPredictor, Volume
from caiseg.checkpoint import CheckpointInfo
from caiseg.synthetic import SyntheticScanConfig, generate_scan
from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from tests.train.scripted import HALF, LESION, SPACING, Scripted, write_case
from train.cli import app
from train.evaluation.cases import INTERRUPTED, Evaluation, run_cases
from train.evaluation.protocol import EvaluationProtocol
from train.evaluation.report import figures_for_card
from train.evaluation.results import read_results
from train.manifest import Case
from train.methods.graph_cuts import GraphCuts


class Failing(Scripted):
    """Fails on scans whose name begins with ``bad``."""

    def __init__(self, error: BaseException):
        super().__init__([LESION])
        self.error = error

    def encode(self, volume: Volume) -> str:
        if volume.name.startswith("bad"):
            raise self.error
        return super().encode(volume)


@pytest.fixture
def quiet() -> Console:
    return Console(quiet=True)


@pytest.fixture
def evaluation(tmp_path: Path) -> Callable[..., Evaluation]:
    def build(
        method: Scripted | CAISegPredictor,
        identity: str = "weights",
        clicks: int = 2,
        device: str = "cpu",
    ) -> Evaluation:
        protocol = EvaluationProtocol(clicks=clicks)
        parts = tmp_path / "cases"
        return Evaluation(method, "scripted", identity, protocol, parts, device=device)

    return build


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_a_resumed_run_keeps_finished_cases(
    tmp_path: Path, evaluation: Callable[..., Evaluation], quiet: Console
) -> None:
    cases = [write_case(tmp_path, name) for name in ("one", "two")]
    first = run_cases(evaluation(Scripted([HALF])), cases[:1], resume=False, console=quiet)
    method = Scripted([HALF])
    resumed = run_cases(evaluation(method), cases, resume=True, console=quiet)
    assert method.encoded == ["two_image.nii.gz"]
    assert resumed.records[: len(first.records)] == first.records
    assert [row.case for row in resumed.records] == ["one"] * 3 + ["two"] * 3


@pytest.mark.parametrize(
    "change",
    [
        "no --resume", "other weights", "other protocol", "other mask", "damaged rows",
        "other code", "other device",
    ],
)  # fmt: skip
def test_nothing_is_kept_of_a_run_under_other_circumstances(
    tmp_path: Path,
    evaluation: Callable[..., Evaluation],
    quiet: Console,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    case = write_case(tmp_path)
    run_cases(evaluation(Scripted([HALF])), [case], resume=False, console=quiet)
    method = Scripted([HALF])
    again = evaluation(
        method,
        identity="others" if change == "other weights" else "weights",
        clicks=1 if change == "other protocol" else 2,
        device="NVIDIA H200" if change == "other device" else "cpu",
    )
    if change == "other code":
        monkeypatch.setattr("train.evaluation.cases.code_hash", lambda: "of other files")
    if change == "other mask":
        write_case(tmp_path, lesion=HALF)
    if change == "damaged rows":
        (part,) = (tmp_path / "cases").iterdir()
        part.write_text("case,dice\none,high\n")
    run_cases(again, [case], resume=change != "no --resume", console=quiet)
    assert method.encoded == ["one_image.nii.gz"]


def test_cases_that_cannot_be_used_are_named_and_the_rest_goes_on(
    tmp_path: Path, evaluation: Callable[..., Evaluation], quiet: Console
) -> None:
    missing = Case("missing", "p", tmp_path / "no.nii.gz", tmp_path / "no.nii.gz", "val")
    larger = write_case(tmp_path, "larger")
    nib.save(
        nib.Nifti1Image(np.ones((20, 20, 20), np.uint8), np.diag([*SPACING, 1.0])), larger.mask
    )
    text = write_case(tmp_path, "text")
    text.image.write_text("no scan")
    cases = [missing, larger, text, write_case(tmp_path, "good")]
    outcome = run_cases(evaluation(Scripted([HALF])), cases, resume=False, console=quiet)
    assert {row.case for row in outcome.records} == {"good"}
    assert sorted(outcome.content) == ["good"]
    assert list(outcome.failed) == ["missing", "larger", "text"]
    assert "cannot be read" in outcome.failed["missing"]
    assert "another grid" in outcome.failed["larger"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate ..."),
        RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB, max allowed: 18.13 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_case_that_needs_too_much_memory_is_named(
    tmp_path: Path, evaluation: Callable[..., Evaluation], quiet: Console, error: Exception
) -> None:
    cases = [write_case(tmp_path, name) for name in ("bad", "good")]
    outcome = run_cases(evaluation(Failing(error)), cases, resume=False, console=quiet)
    assert outcome.failed == {"bad": "There is not enough memory for this case."}
    assert {row.case for row in outcome.records} == {"good"}


def test_an_interrupted_run_says_what_it_did_not_come_to(
    tmp_path: Path, evaluation: Callable[..., Evaluation], quiet: Console
) -> None:
    class Interrupted(Failing):
        """Ctrl-C comes while it is at a bad scan."""

    cases = [write_case(tmp_path, name) for name in ("one", "bad", "two")]
    stopped = evaluation(Interrupted(KeyboardInterrupt()))
    outcome = run_cases(stopped, cases, resume=False, console=quiet)
    assert outcome.interrupted
    assert list(outcome.content) == ["one"]
    assert outcome.failed == {"bad": INTERRUPTED, "two": INTERRUPTED}
    assert [path.suffix for path in (tmp_path / "cases").iterdir()] == [".csv"]
    resumed = run_cases(evaluation(Scripted([HALF])), cases, resume=True, console=quiet)
    assert (resumed.interrupted, resumed.failed) == (False, {})


def test_a_mistake_in_the_method_is_not_hidden(
    tmp_path: Path, evaluation: Callable[..., Evaluation], quiet: Console
) -> None:
    method = Failing(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        run_cases(evaluation(method), [write_case(tmp_path, "bad")], resume=False, console=quiet)


def write_manifest(folder: Path, cases: Sequence[Case]) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "patient", "image", "mask", "split"])
        writer.writerows(
            [case.name, case.patient, case.image.name, case.mask.name, case.split] for case in cases
        )
    return path


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, status: int = 0) -> None:
    words = ("evaluate", *arguments, "--threads", "1", "--device", "cpu", "--workers", "0")
    run_train(monkeypatch, *words, status=status)


def without_times(folder: Path) -> list[dict[str, object]]:
    times = {"encode_seconds", "click_seconds"}
    return [row.model_dump(exclude=times) for row in read_results(folder / "results.csv")]


def synthetic_case(folder: Path, name: str, seed: int) -> Case:
    config = SyntheticScanConfig(
        shape=(40, 48, 24), spacing=(4.0, 4.0, 6.0), lesion_count=(1, 1),
        lesion_radius=(14.0, 18.0), orientation="LPS", max_tilt=5.0,
    )  # fmt: skip
    scan = generate_scan(config, seed)
    case = Case(name, name, folder / f"{name}.nii.gz", folder / f"{name}_mask.nii.gz", "val")
    nib.save(nib.Nifti1Image(scan.image, scan.affine), case.image)
    nib.save(nib.Nifti1Image(scan.lesion.astype(np.uint8), scan.affine), case.mask)
    return case


def test_the_command_judges_a_checkpoint_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", spacing=(4.0, 4.0, 6.0))
    good = [synthetic_case(tmp_path, "first", 1), synthetic_case(tmp_path, "second", 2)]
    bad = Case("bad", "bad", tmp_path / "bad.nii.gz", tmp_path / "bad.nii.gz", "val")
    manifest = write_manifest(tmp_path, [good[0], bad, good[1]])
    out = tmp_path / "out"
    arguments = ("--checkpoint", checkpoint, "--manifest", manifest, "--clicks", "2", "--out", out)

    run_command(monkeypatch, *arguments)
    summary = json.loads((out / "summary.json").read_text())
    rows = read_results(out / "results.csv")
    assert [(row.case, row.round) for row in rows] == [
        (name, number) for name in ("first", "second") for number in range(3)
    ]
    assert (summary["data"]["cases"], summary["data"]["evaluated"]) == (3, 2)
    assert [failure["case"] for failure in summary["failed"]] == ["bad"]
    assert summary["figures"]["dice"]["0"]["mean"] == pytest.approx(
        np.mean([row.dice for row in rows if row.round == 0])
    )
    predictor = CAISegPredictor.from_checkpoint(checkpoint, "cpu")
    assert summary["checkpoint"]["sha256"] == predictor.checkpoint_hash
    assert summary["versions"]["torch"] == torch.__version__
    assert "2 of 3 cases" in capsys.readouterr().out

    volume, lesion = good[0].load()
    first_mask = predictor.segment(predictor.encode(volume), []).mask
    overlap = 2 * np.sum(first_mask & lesion) / (first_mask.sum() + lesion.sum())
    assert rows[0].dice == pytest.approx(overlap)

    run_command(monkeypatch, *arguments, "--resume")
    assert read_results(out / "results.csv") == rows

    card = figures_for_card(summary)
    info = CheckpointInfo(
        name="small",
        network=predictor.network.config,
        preprocessing=predictor.preprocessing,
        figures=card,
    )
    assert CheckpointInfo.model_validate_json(info.model_dump_json()).figures == card
    assert list(card["Dice after"]) == ["0 clicks", "1 click", "2 clicks"]


def test_several_methods_are_clicked_alike_and_get_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", spacing=(4.0, 4.0, 6.0))
    manifest = write_manifest(tmp_path, [synthetic_case(tmp_path, "first", 1)])
    run_command(
        monkeypatch, "--method", "caiseg", "--method", "graph_cuts", "--checkpoint", checkpoint,
        "--manifest", manifest, "--clicks", "1", "--out", tmp_path / "out",
    )  # fmt: skip
    for name, weights in (("caiseg", "small.safetensors"), ("graph_cuts", None)):
        summary = json.loads((tmp_path / "out" / name / "summary.json").read_text())
        assert summary["method"] == name
        assert (summary["checkpoint"] or {"file": None})["file"] == weights
        rows = read_results(tmp_path / "out" / name / "results.csv")
        assert [row.round for row in rows] == [0, 1]


def test_a_run_without_one_usable_case_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", spacing=(4.0, 4.0, 6.0))
    bad = Case("bad", "bad", tmp_path / "bad.nii.gz", tmp_path / "bad.nii.gz", "val")
    out = tmp_path / "out"
    run_command(
        monkeypatch, "--checkpoint", checkpoint, "--manifest", write_manifest(tmp_path, [bad]),
        "--out", out, status=2,
    )  # fmt: skip
    assert "None of the 1 cases could be evaluated" in capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text())
    assert summary["figures"] is None
    assert summary["failed"][0]["case"] == "bad"


def test_a_full_memory_ends_a_worker_and_not_the_command() -> None:
    command = typer.main.get_command(app).commands["evaluate"]  # type: ignore[attr-defined]
    (workers,) = [option for option in command.params if option.name == "workers"]
    assert workers.default == 1


def test_ctrl_c_leaves_a_summary_of_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(_: GraphCuts, volume: Volume) -> Volume:
        if volume.name.startswith("second"):
            raise KeyboardInterrupt
        return volume

    monkeypatch.setattr(GraphCuts, "encode", encode)
    cases = [synthetic_case(tmp_path, name, seed) for seed, name in enumerate(("first", "second"))]
    out = tmp_path / "out"
    run_command(
        monkeypatch, "--method", "graph_cuts", "--manifest", write_manifest(tmp_path, cases),
        "--clicks", "1", "--out", out, status=130,
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["data"]["cases"], summary["data"]["evaluated"]) == (2, 1)
    assert summary["failed"] == [{"case": "second", "reason": INTERRUPTED}]
    assert {row.case for row in read_results(out / "results.csv")} == {"first"}


def test_the_random_rule_is_repeated_with_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", spacing=(4.0, 4.0, 6.0))
    manifest = write_manifest(tmp_path, [synthetic_case(tmp_path, "first", 1)])
    out = tmp_path / "out"
    arguments = ("--checkpoint", checkpoint, "--manifest", manifest, "--clicks", "1", "--out", out)

    run_command(monkeypatch, *arguments, "--rule", "random", "--seeds", "3")
    random = [row for row in read_results(out / "results.csv") if row.round == 1]
    assert [row.seed for row in random] == [0, 1, 2]
    assert len({(row.click_i, row.click_j, row.click_k) for row in random}) > 1
    summary = json.loads((out / "summary.json").read_text())
    assert summary["figures"]["dice"]["1"]["sd_seeds"] is not None

    both = tmp_path / "both"
    run_command(monkeypatch, *arguments[:-1], both, "--seeds", "3")
    assert [row.seed for row in read_results(both / "results.csv")] == [0, 0]
    assert without_times(both / "random") == without_times(out)
    run_command(monkeypatch, *arguments, "--rule", "centre", "--seeds", "3", status=2)
