"""``python -m train prepare``: what it finds, refuses, splits, writes and keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caiseg.errors import InvalidInput
from tests.train.labelled_scans import (
    SPACING,
    Voxels,
    labels,
    save,
    scan,
    small_config,
    write_decathlon,
    write_manifest_csv,
    write_nnunet,
)
from train.cli import main
from train.config import ExperimentConfig
from train.examination import Finding
from train.files import CannotWrite, replacing
from train.manifest import Case, read_manifest
from train.prepare import PrepareOptions, prepare
from train.prepared import prepare_case
from train.workers import map_in_workers

CONFIG = small_config()


def pair(folder: Path, name: str, seed: int, patient: str | None = None, split: str = "") -> Case:
    """A case that can be used, saved in ``folder``."""
    image = save(folder / f"{name}.nii.gz", scan(seed))
    mask = save(folder / f"{name}_mask.nii.gz", labels(1))
    return Case(name, patient or name, image, mask, split)


def prepare_here(
    cases: list[Case], out: Path, config: ExperimentConfig = CONFIG, seed: int = 0
) -> dict[str, Finding]:
    findings = prepare(config, cases, PrepareOptions(out, seed, workers=0))
    return {finding.case.name: finding for finding in findings}


def split_json(out: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((out / "split.json").read_text())
    return document


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int | str | None:
    """Exit status of the command line, run in this process, whose tables fit every sentence."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "argv", ["train", "prepare", *map(str, arguments), "--workers", "0"])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def spoil_missing(case: Case) -> None:
    case.mask.unlink()


def spoil_content(case: Case) -> None:
    case.image.write_bytes(b"no scan")


def spoil_grid(case: Case) -> None:
    affine = np.diag([*SPACING, 1.0])
    affine[0, 3] = 5.0
    save(case.mask, labels(1), affine)


def spoil_shape(case: Case) -> None:
    save(case.mask, labels(1)[:-1])


def spoil_lesion(case: Case) -> None:
    save(case.mask, labels(0))


def spoil_affine(case: Case) -> None:
    image = nib.Nifti1Image(scan(1), None)
    image.header.set_sform(np.diag([2.0, 0.0, 4.0, 1.0]), code=1)
    nib.save(image, case.image)


def spoil_values(case: Case) -> None:
    save(case.image, np.full_like(scan(1), np.nan))


def spoil_contrast(case: Case) -> None:
    save(case.image, np.full_like(scan(1), 7))


def spoil_labels(case: Case) -> None:
    save(case.mask, labels(1) * np.float32(0.5))


def spoil_size(case: Case) -> None:
    mask = labels(0)
    mask[3, 3, 3] = 1
    fine = np.diag([0.2, 0.2, 0.2, 1.0])
    save(case.image, scan(1), fine)
    save(case.mask, mask, fine)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (spoil_missing, "bad_mask.nii.gz cannot be read: No such file"),
        (spoil_content, "bad.nii.gz: The file is not a NIfTI scan"),
        (spoil_grid, "lies on another grid"),
        (spoil_shape, "lies on another grid"),
        (spoil_lesion, "bad_mask.nii.gz has no voxel above 0"),
        (spoil_affine, "bad.nii.gz: The scan's orientation matrix is singular"),
        (spoil_values, "bad.nii.gz: The scan holds no finite value"),
        (spoil_contrast, "bad.nii.gz has the same value, 7"),
        (spoil_labels, "holds values between whole numbers"),
        (spoil_size, "fills no voxel of"),
    ],
)
def test_a_case_that_cannot_be_used_is_refused_and_the_rest_goes_on(
    tmp_path: Path, spoil: Callable[[Case], None], why: str
) -> None:
    cases = [pair(tmp_path, "good", 0), pair(tmp_path, "bad", 1), pair(tmp_path, "also", 2)]
    spoil(cases[1])
    out = tmp_path / "out"
    found = prepare_here(cases, out)
    assert why in found["bad"].refusal
    assert [case.name for case in read_manifest(out / "manifest.csv")] == ["good", "also"]
    assert split_json(out)["refused"] == {"bad": found["bad"].refusal}
    assert len(list((out / "cache").iterdir())) == 2


def test_a_label_that_a_mask_lacks_is_named(tmp_path: Path) -> None:
    cases = [pair(tmp_path, "healthy", 0), pair(tmp_path, "ill", 1)]
    save(cases[1].mask, labels(1, 2))
    found = prepare_here(cases, tmp_path / "out", small_config("data.label_values=[2]"))
    assert "has no voxel of the data.label_values 2" in found["healthy"].refusal
    block = 6 * 6 * 4 * np.prod(SPACING) / 1000
    assert found["ill"].lesion_ml == pytest.approx(block)


def test_the_same_scan_under_two_patients_is_refused_the_second_time(tmp_path: Path) -> None:
    cases = [
        pair(tmp_path, "first", 0, "ann"),
        pair(tmp_path, "again", 0, "ann"),
        pair(tmp_path, "copy", 0, "bob"),
    ]
    found = prepare_here(cases, tmp_path / "out")
    assert not found["first"].refusal
    assert not found["again"].refusal
    assert "is the scan of the case first again" in found["copy"].refusal


def test_voxels_that_are_no_numbers_are_reported_and_the_scan_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    case = pair(tmp_path, "case", 0)
    voxels = scan(0)
    voxels[0, 0, :2] = np.nan
    save(case.image, voxels)
    for _ in range(2):
        prepare_here([case], tmp_path / "out")
        assert "2 voxels are not a finite number" in capsys.readouterr().out


def test_nothing_usable_ends_in_one_sentence_and_writes_no_manifest(tmp_path: Path) -> None:
    case = pair(tmp_path, "case", 0)
    spoil_lesion(case)
    with pytest.raises(InvalidInput, match=r"None of the cases \(1\) can be used.* no voxel"):
        prepare_here([case], tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert not (tmp_path / "out" / "split.json").exists()


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    case = pair(tmp_path, "case", 0)
    with pytest.raises(InvalidInput, match="case is listed twice"):
        prepare_here([case, case], tmp_path / "out")


def test_scans_of_one_patient_stay_together(tmp_path: Path) -> None:
    cases = [pair(tmp_path, f"scan{n}", n, f"patient{n // 2}") for n in range(12)]
    out = tmp_path / "out"
    prepare_here(cases, out)
    splits = {case.name: case.split for case in read_manifest(out / "manifest.csv")}
    assert set(splits.values()) == {"train", "val", "test"}
    assert all(splits[f"scan{n}"] == splits[f"scan{n + 1}"] for n in range(0, 12, 2))


def test_the_seed_and_the_proportions_decide_the_split(tmp_path: Path) -> None:
    cases = [pair(tmp_path, f"case{n}", n) for n in range(6)]
    even = small_config("data.split_proportions=[0.5, 0.5, 0]")
    documents = []
    for seed in (0, 0, 2):
        prepare_here(cases, tmp_path / "out", even, seed)
        documents.append(split_json(tmp_path / "out"))
    assert documents[0] == documents[1]
    assert documents[0]["splits"] != documents[2]["splits"]
    assert documents[0]["seed"] == 0
    assert documents[0]["proportions"] == [0.5, 0.5, 0]
    splits = documents[0]["splits"]
    assert isinstance(splits, dict)
    assert {name: len(patients) for name, patients in splits.items()} == {"train": 3, "val": 3}


def test_the_splits_of_a_manifest_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        pair(tmp_path / "scans", name, seed)
    rows = [
        f"{name},p{name},scans/{name}.nii.gz,scans/{name}_mask.nii.gz,{split}"
        for name, split in (("a", "val"), ("b", "external"), ("c", "train"))
    ]
    manifest = write_manifest_csv(
        tmp_path / "in.csv", *rows, header="case,patient,image,mask,split"
    )
    out = tmp_path / "out"
    assert run(monkeypatch, "--manifest", manifest, "--config", "brain_flair", "--out", out) == 0
    assert [case.split for case in read_manifest(out / "manifest.csv")] == [
        "val", "external", "train",
    ]  # fmt: skip
    assert "seed" not in split_json(out)
    printed = capsys.readouterr().out
    assert "3 cases of 3 patients can be used" in printed
    assert f"--manifest {out / 'manifest.csv'} --cache {out / 'cache'}" in printed


def test_fit_finds_everything_in_the_cache_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_decathlon(
        tmp_path / "Task01_BrainTumour",
        {"BRATS_1": labels(1, 2, 3), "BRATS_2": labels(2)},
        modality=["FLAIR", "T1w"],
        names={"0": "background", "1": "edema", "2": "core", "3": "enhancing"},
    )
    monkeypatch.chdir(tmp_path)
    run(
        monkeypatch, "--msd", task.name, "--config", "brain_flair", "--out", "prepared",
        "--set", "data.channel=1",
    )  # fmt: skip
    monkeypatch.chdir("/")
    cached = {file: file.stat().st_mtime_ns for file in (tmp_path / "prepared/cache").iterdir()}
    assert len(cached) == 2
    config = small_config("data.channel=1", "preprocessing.spacing=[1.875, 1.875, 4.0]")
    for case in read_manifest(tmp_path / "prepared" / "manifest.csv"):
        prepared = prepare_case(
            case, config.preprocessing, config.data, tmp_path / "prepared" / "cache"
        )
        assert prepared.lesion.any()
    assert cached == {
        file: file.stat().st_mtime_ns for file in (tmp_path / "prepared/cache").iterdir()
    }


def test_another_channel_or_label_is_prepared_again(tmp_path: Path) -> None:
    image = save(tmp_path / "scan.nii.gz", scan(0, volumes=2) ** 3)
    mask = save(tmp_path / "mask.nii.gz", labels(1, 2))
    case = Case("case", "case", image, mask, "train")

    def prepared(*overrides: str) -> tuple[torch.Tensor, torch.Tensor]:
        config = small_config(*overrides)
        result = prepare_case(case, config.preprocessing, config.data, tmp_path / "cache")
        return result.image, result.lesion

    first, second = prepared("data.channel=0"), prepared("data.channel=1")
    assert not torch.equal(first[0], second[0])
    tumour = prepared("data.channel=0", "data.label_values=[2]")
    assert int(tumour[1].sum()) * 2 == int(first[1].sum())
    torch.testing.assert_close(prepared("data.channel=1"), second)
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_a_damaged_cache_file_is_prepared_again(tmp_path: Path) -> None:
    case = pair(tmp_path, "case", 0)
    prepare_here([case], tmp_path / "out")
    (cached,) = (tmp_path / "out" / "cache").iterdir()
    # Read tensors lie in the file itself, so that a copy has to outlive the damage.
    before = {name: tensor.clone() for name, tensor in load_file(cached).items()}
    cached.write_bytes(cached.read_bytes()[: cached.stat().st_size // 2])
    prepare_here([case], tmp_path / "out")
    torch.testing.assert_close(load_file(cached), before)


def test_an_nnunet_folder_is_prepared_with_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    masks: dict[str, Voxels] = {f"case_{number}": labels(1) for number in range(3)}
    folder = write_nnunet(tmp_path / "Dataset001_[bold]", masks, channels=2)
    (folder / "labelsTr" / "case_1.nii.gz").unlink()
    out = tmp_path / "out"
    run(
        monkeypatch, "--nnunet", folder, "--config", "brain_flair", "--out", out,
        "--set", "data.channel=1",
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "2 cases of 2 patients can be used" in printed
    assert "1 case refused" in printed
    assert str(folder / "labelsTr" / "case_1.nii.gz") in printed
    for case in read_manifest(out / "manifest.csv"):
        assert case.image.name == f"{case.name}_0001.nii.gz"
        volume, _ = case.load()
        assert volume.data.mean() == pytest.approx(100, abs=1)


@pytest.mark.parametrize("sources", [[], ["--msd", "a", "--nnunet", "b"]])
def test_exactly_one_source_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sources: list[str],
) -> None:
    assert run(monkeypatch, *sources, "--config", "brain_flair", "--out", tmp_path / "out") == 2
    assert "Name one source of scans" in capsys.readouterr().err


ON_A_FULL_DISK = """
import resource

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
from train import cli

cli.main()
"""
"""A limit on the size of files refuses to write as a full disk does, at the same place."""


def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing_half_written(
    tmp_path: Path, repository: Path
) -> None:
    pair(tmp_path / "scans", "a", 0)
    row = "a,a,scans/a.nii.gz,scans/a_mask.nii.gz"
    manifest = write_manifest_csv(tmp_path / "in.csv", row)
    out = tmp_path / "out"
    arguments = ["prepare", "--manifest", manifest, "--config", "brain_flair", "--out", out]
    done = subprocess.run(
        [sys.executable, "-B", "-c", ON_A_FULL_DISK, *map(str, arguments)],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "safetensors cannot be written" in done.stderr
    assert "None of the cases" not in done.stderr
    assert "free some disk space" in done.stderr
    assert [file for file in out.rglob("*") if file.is_file()] == []


def test_worker_processes_find_what_this_process_finds(tmp_path: Path) -> None:
    cases = [pair(tmp_path, name, seed) for seed, name in enumerate("abc")]
    spoil_lesion(cases[1])
    here = prepare(CONFIG, cases, PrepareOptions(tmp_path / "here", workers=0))
    there = prepare(CONFIG, cases, PrepareOptions(tmp_path / "there", workers=1))
    assert there == here


def test_a_lost_worker_ends_in_one_sentence() -> None:
    with pytest.raises(InvalidInput, match=r"A worker process was lost.*fewer --workers"):
        list(map_in_workers(os._exit, [1], workers=1))


def test_a_file_that_cannot_be_finished_does_not_replace_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write(content: str, then: Exception | None = None) -> None:
        with replacing(path) as partial:
            partial.write_text(content)
            if then:
                raise then

    with pytest.raises(CannotWrite, match=r"file cannot be written \(No space left"):
        write("half", OSError(28, "No space left on device"))
    with pytest.raises(KeyboardInterrupt):
        write("half", KeyboardInterrupt())  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
    write("new")
    assert path.read_text() == "new"
