"""From folders and checkpoints to results: what is missing is named, and the rest is compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caiseg import InvalidInput
from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from tests.train.comparison.made_up_results import Curves, curves, write_folder
from tests.train.scripted import write_case
from train.comparison.compare import CompareOptions, compare, named_folders
from train.comparison.comparison import Comparison
from train.comparison.gathered import method_of
from train.comparison.how_made import weights_table
from train.comparison.notes import method_notes
from train.evaluation.results import write_results
from train.manifest import write_manifest


def compared(out: Path, *folders: str | Path, reference: str | None = None) -> Comparison:
    named = [named_folders(str(folder)) for folder in folders]
    return compare(CompareOptions(named, out, reference=reference))


def failed_folder(folder: Path, method: str) -> Path:
    """What is left where every case failed."""
    rows = curves(0)
    write_folder(folder, method, rows, failed=dict.fromkeys(rows, "It does not fit into memory."))
    write_results(folder / "results.csv", [])
    return folder


def interrupted_folder(folder: Path) -> Path:
    """What is left where a run was killed."""
    for name in ("one", "two"):
        write_results(folder / "cases" / f"{name}.csv", [])
    return folder


def seeded(number: int, seeds: int) -> Curves:
    """Curves of several sessions per case."""
    several = [curves(100 * number + seed) for seed in range(seeds)]
    return {case: [found[case][0] for found in several] for case in several[0]}


def test_folders_without_results_are_named_and_the_others_compared(tmp_path: Path) -> None:
    good = [
        write_folder(tmp_path / name, name, curves(seed))
        for seed, name in enumerate(("caiseg", "vnet"))
    ]
    failed = failed_folder(tmp_path / "dins3d", "dins3d")
    interrupted = interrupted_folder(tmp_path / "ritm3d")
    comparison = compared(tmp_path / "out", *good, failed, interrupted, tmp_path / "nothing")
    assert comparison.labels == ["caiseg", "vnet"]
    assert list(comparison.absent) == ["dins3d", "ritm3d", "nothing"]
    report = (tmp_path / "out" / "report.html").read_text("utf-8")
    for reason in (
        "dins3d is not compared: None of its 16 cases could be evaluated. It does not fit into",
        "ritm3d is not compared: The evaluation in",
        "ended after 2 cases; run it again with --resume",
        "nothing is not compared:",
    ):
        assert reason in report
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["absent"]


def test_a_missing_reference_is_not_replaced_by_another(tmp_path: Path) -> None:
    good = write_folder(tmp_path / "vnet", "vnet", curves(0))
    failed = failed_folder(tmp_path / "caiseg", "caiseg")
    with pytest.raises(InvalidInput, match="The reference caiseg cannot be compared: None of its"):
        compared(tmp_path / "out", good, failed, reference="caiseg")


def test_trainings_are_one_method_with_the_spread_over_trainings(tmp_path: Path) -> None:
    rows = [curves(seed) for seed in range(3)]
    trained = [
        write_folder(tmp_path / f"run{number}", "caiseg", found, sha256=str(number) * 64)
        for number, found in enumerate(rows)
    ]
    walker = write_folder(tmp_path / "random_walker", "random_walker", curves(7))
    named = "caiseg=" + ",".join(map(str, trained))
    comparison = compared(tmp_path / "out", named, walker)
    last = np.array([[found[case][0][-1] for found in rows] for case in sorted(rows[0])])
    mine = comparison.cells["caiseg", "dice_after_5"].spread
    assert mine.mean == pytest.approx(last.mean())
    assert mine.sd_seeds == pytest.approx(last.mean(axis=0).std(ddof=1))
    other = comparison.cells["random_walker", "dice_after_5"]
    assert other.spread.sd_seeds is None
    assert other.test is not None
    assert any("caiseg was trained 3 times" in note for note in method_notes(comparison))
    kept = json.loads((tmp_path / "out" / "comparison.json").read_text())["methods"]["caiseg"]
    assert (kept["trainings"], len(kept["weights"])) == (3, 3)


def test_the_spread_over_trainings_is_not_that_of_their_clicks(tmp_path: Path) -> None:
    rows = [seeded(number, seeds=2) for number in range(2)]
    folders = [
        write_folder(tmp_path / f"run{number}", "caiseg", found, rule="random")
        for number, found in enumerate(rows)
    ]
    comparison = compared(tmp_path / "out", "caiseg=" + ",".join(map(str, folders)))
    means = [np.mean([seed[-1] for seeds in found.values() for seed in seeds]) for found in rows]
    spread = comparison.cells["caiseg", "dice_after_5"].spread
    assert spread.sd_seeds == pytest.approx(np.std(means, ddof=1))


def test_trainings_of_two_methods_are_not_one(tmp_path: Path) -> None:
    folders = [write_folder(tmp_path / name, name, curves(0)) for name in ("caiseg", "vnet")]
    with pytest.raises(InvalidInput, match="mine would be caiseg and vnet at once"):
        compared(tmp_path / "out", "mine=" + ",".join(map(str, folders)))


def test_results_by_the_random_rule_become_a_part_of_their_own(tmp_path: Path) -> None:
    folders = [
        write_folder(tmp_path / name, name, curves(seed))
        for seed, name in enumerate(("caiseg", "vnet", "dins3d", "ritm3d"))
    ]
    interrupted_folder(folders[3] / "random")
    for number, folder in enumerate(folders[:2]):
        write_folder(folder / "random", folder.name, seeded(number, seeds=3), rule="random")
    out = tmp_path / "out"
    comparison = compared(out, *folders)
    assert comparison.protocol.rule.value == "centre"
    report = (out / "report.html").read_text("utf-8")
    assert "Clicks by the centre rule" in report
    assert "Clicks by the random rule, 3 sessions a case" in report
    assert "dins3d is not compared: it was not clicked by this rule" in report
    assert "ritm3d is not compared: The evaluation in" in report
    random = json.loads((out / "random" / "comparison.json").read_text())
    assert random["protocol"]["seeds"] == 3
    assert random["methods"]["vnet"]["measures"]["dice_after_5"]["sd_seeds"] > 0
    centre = json.loads((out / "comparison.json").read_text())
    assert centre["methods"]["vnet"]["measures"]["dice_after_5"]["sd_seeds"] is None


def test_how_the_weights_were_made_can_be_checked(tmp_path: Path) -> None:
    made = {
        "config": "brain-flair", "epochs done": 8, "training hours": 0.4, "commit": "abcdef0",
        "started from": {
            "checkpoint": "backbone", "sha256": "0123", "epochs done": 36, "training hours": 0.8,
            "started from": "random weights",
        },
        "command": "python -m train fit --config c",
        "experiment": {"seed": 0},
        "averaged with run 2": {"epochs done": 22, "training hours": 0.55},
    }  # fmt: skip
    folders = [
        write_folder(tmp_path / "caiseg", "caiseg", curves(0), sha256="ab" * 32, provenance=made),
        write_folder(tmp_path / "graph_cuts", "graph_cuts", curves(1)),
    ]
    comparison = compared(tmp_path / "out", *folders)
    table = weights_table(comparison)
    assert table is not None
    ((label, cells),) = table.rows
    shown = dict(zip(table.headings, cells, strict=True))
    assert label == "caiseg"
    assert (shown["config"].text, shown["epochs"].text, shown["hours"].text) == (
        "brain-flair", "8", "0.4",
    )  # fmt: skip
    assert shown["started from"].text == (
        "backbone, sha256 0123, 36 epochs, 0.8 h, from random weights"
    )
    assert shown["hours"].detail == "averaged with: 0.55"
    assert shown["licence"].text == "CC BY 4.0"
    for name in ("report.html", "comparison.md"):
        text = (tmp_path / "out" / name).read_text("utf-8")
        assert "How the weights were made" in text
        assert "caiseg was trained by: python -m train fit --config c" in text
    methods = json.loads((tmp_path / "out" / "comparison.json").read_text())["methods"]
    (kept,) = methods["caiseg"]["weights"]
    assert kept["provenance"]["training hours"] == 0.4
    assert "experiment" not in kept["provenance"]
    assert methods["graph_cuts"]["weights"] == []


def test_the_method_under_another_name_is_that_of_its_checkpoint(tmp_path: Path) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors")
    assert method_of("brain-flair", checkpoint) == "caiseg"
    assert method_of("random_walker", None) == "random_walker"
    with pytest.raises(InvalidInput, match=r"'brain-flair' is not a method; .*brain-flair=CHECK"):
        method_of("brain-flair", None)


def test_methods_are_evaluated_by_both_rules_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", patch_size=(16, 16, 16))
    write_manifest(tmp_path / "cases.csv", [write_case(tmp_path)])
    out = tmp_path / "out"
    run_train(
        monkeypatch, "compare", "--method", f"mine={checkpoint}", "--method", "graph_cuts",
        "--manifest", tmp_path / "cases.csv", "--out", out, "--clicks", "1", "--seeds", "2",
        "--label", "1", "--threads", "1", "--device", "cpu", "--workers", "0",
    )  # fmt: skip
    for folder, seeds in ((out, 1), (out / "random", 2)):
        document = json.loads((folder / "comparison.json").read_text())
        assert {label: found["method"] for label, found in document["methods"].items()} == {
            "mine": "caiseg", "graph_cuts": "graph_cuts",
        }  # fmt: skip
        assert document["protocol"]["seeds"] == seeds
        assert document["protocol"]["label_values"] == [1]
