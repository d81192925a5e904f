"""A method is judged on the lesion, and on the volume of a 4-D scan, that it was trained for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caiseg import CAISegPredictor, InvalidInput
from caiseg.checkpoint import load_checkpoint, save_checkpoint
from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from tests.train.labelled_scans import SPACING, labels, save, scan
from tests.train.small_experiment import small_config
from train.evaluation.choice import target_of
from train.evaluation.results import read_results
from train.evaluation.target import AS_TRAINED, AskedTarget, Target
from train.manifest import Case, read_manifest, write_manifest

BLOCK_ML = 6 * 6 * 4 * float(np.prod(SPACING)) / 1000


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """One case: a scan of two sequences, whose mask holds organ and tumour, 1 and 2 and 2."""
    image = save(tmp_path / "scan.nii.gz", scan(0, volumes=2))
    mask = save(tmp_path / "mask.nii.gz", labels(1, 2, 2))
    write_manifest(tmp_path / "cases.csv", [Case("one", "one", image, mask, "val")])
    return tmp_path / "cases.csv"


def trained_for(path: Path, **data: Any) -> Path:
    """A checkpoint whose training says which labels and which channel it read."""
    found = load_checkpoint(write_small_checkpoint(path))
    experiment = small_config(data=data).model_dump(mode="json")
    info = found.info.model_copy(update={"provenance": {"experiment": experiment}})
    save_checkpoint(path, found.network, info)
    return path


def evaluated(
    monkeypatch: pytest.MonkeyPatch, manifest: Path, out: Path, *words: str | Path
) -> dict[str, Any]:
    """The settings and the first row of an evaluation without clicks."""
    run_train(
        monkeypatch, "evaluate", "--manifest", manifest, "--clicks", "0", "--out", out,
        "--device", "cpu", "--threads", "1", "--workers", "0", *words,
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    (row,) = read_results(out / "results.csv")
    return {**summary["settings"], "ml": row.lesion_ml, "dice": row.dice}


def test_an_evaluation_reads_what_the_checkpoint_was_trained_for(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = trained_for(tmp_path / "two.safetensors", label_values=[2], channel=1)
    found = evaluated(monkeypatch, manifest, tmp_path / "out", "--checkpoint", checkpoint)
    assert (found["label_values"], found["channel"]) == ([2], 1)
    assert found["ml"] == pytest.approx(2 * BLOCK_ML)
    volume, lesion = read_manifest(manifest)[0].load([2], 1)
    predictor = CAISegPredictor.from_checkpoint(checkpoint, "cpu")
    mask = predictor.segment(predictor.encode(volume), []).mask
    assert found["dice"] == pytest.approx(2 * np.sum(mask & lesion) / (mask.sum() + lesion.sum()))

    asked = ("--checkpoint", checkpoint, "--label", "1", "--channel", "0")
    found = evaluated(monkeypatch, manifest, tmp_path / "asked", *asked)
    assert (found["label_values"], found["channel"]) == ([1], 0)
    assert found["ml"] == pytest.approx(BLOCK_ML)


def test_weights_that_do_not_say_are_judged_on_all_labels(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors")
    found = evaluated(monkeypatch, manifest, tmp_path / "out", "--checkpoint", checkpoint)
    assert (found["label_values"], found["channel"]) == (None, None)
    assert found["ml"] == pytest.approx(3 * BLOCK_ML)


def test_methods_without_training_take_over_the_target_of_the_others(tmp_path: Path) -> None:
    checkpoint = trained_for(tmp_path / "two.safetensors", label_values=[3, 2, 2], channel=1)
    methods = [("random_walker", None), ("caiseg", checkpoint), ("nnunet", Path("folds"))]
    assert target_of(methods, AS_TRAINED) == Target(label_values=(2, 3), channel=1)
    assert target_of(methods[:1], AS_TRAINED) == Target()
    assert target_of(methods[:1], AskedTarget([2])) == Target(label_values=(2,))


def test_two_targets_are_told_apart_unless_the_command_line_decides(tmp_path: Path) -> None:
    methods = [
        ("caiseg", trained_for(tmp_path / "tumour.safetensors", label_values=[2])),
        ("vnet", trained_for(tmp_path / "all.safetensors", channel=1)),
    ]
    with pytest.raises(
        InvalidInput,
        match=r"tumour.safetensors was trained for label 2, all.safetensors for all labels above "
        r"0 in channel 1; say with --label",
    ):
        target_of(methods, AS_TRAINED)
    assert target_of(methods, AskedTarget([1], 0)) == Target(label_values=(1,), channel=0)


def test_a_target_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = write_small_checkpoint(tmp_path / "odd.safetensors")
    found = load_checkpoint(path)
    odd = {"experiment": {"data": {"label_values": "the tumour"}}}
    save_checkpoint(path, found.network, found.info.model_copy(update={"provenance": odd}))
    with pytest.raises(InvalidInput, match=r"odd.safetensors does not say .* export it again"):
        target_of([("caiseg", path)], AS_TRAINED)


def test_an_explanation_draws_what_the_checkpoint_was_trained_for(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def truths(label: str, *words: str) -> set[str]:
        out = tmp_path / f"explained {label}"
        run_train(
            monkeypatch, "explain", "--checkpoint", checkpoint, "--manifest", manifest,
            "--case", "one", "--clicks", "0", "--out", out, "--device", "cpu", "--threads", "1",
            *words,
        )  # fmt: skip
        return set((out / "explanation.html").read_text("utf-8").split("<path"))

    checkpoint = trained_for(tmp_path / "two.safetensors", label_values=[2], channel=1)
    assert truths("by default") == truths("as trained", "--label", "2", "--channel", "1")
    assert truths("by default") != truths("otherwise", "--label", "1", "--channel", "1")
    assert truths("by default") != truths("otherwise", "--label", "2", "--channel", "0")
