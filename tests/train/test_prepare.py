"""``python -m train prepare``: what it splits, writes and keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from caiseg.errors import InvalidInput
from tests.train.command_line import run_train
from tests.train.labelled_scans import (
    Voxels,
    labels,
    small_config,
    write_decathlon,
    write_manifest_csv,
    write_nnunet,
)
from tests.train.preparing import empty_mask, pair, prepare_here, split_json
from train.manifest import read_manifest
from train.prepared import prepare_case


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, status: int = 0) -> None:
    run_train(monkeypatch, "prepare", *arguments, "--workers", "0", status=status)


def test_nothing_usable_ends_in_one_sentence_and_writes_no_manifest(tmp_path: Path) -> None:
    case = pair(tmp_path, "case", 0)
    empty_mask(case)
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
    run(monkeypatch, "--manifest", manifest, "--config", "brain_flair", "--out", out)
    assert [case.split for case in read_manifest(out / "manifest.csv")] == [
        "val", "external", "train",
    ]  # fmt: skip
    assert "seed" not in split_json(out)
    printed = capsys.readouterr().out
    assert "3 cases of 3 patients can be used" in printed
    assert f"--manifest {out / 'manifest.csv'} --cache {out / 'cache'}" in printed


@pytest.mark.parametrize("others", ["val", "external"])
def test_a_split_without_validation_cases_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], others: str
) -> None:
    cases = [pair(tmp_path, name, seed, split=split)
             for seed, (name, split) in enumerate((("a", "train"), ("b", others)))]  # fmt: skip
    prepare_here(cases, tmp_path / "out")
    printed = " ".join(capsys.readouterr().out.split())
    assert ("No case is in the split 'val'" in printed) == (others != "val")


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
    run(monkeypatch, *sources, "--config", "brain_flair", "--out", tmp_path / "out", status=2)
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
