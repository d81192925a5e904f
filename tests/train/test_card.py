"""The card of a checkpoint shows where it fails."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from caiseg import read_checkpoint_info
from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from tests.train.scripted import LESION, write_case
from train.card import model_card
from train.manifest import write_manifest

CLICKS = 2


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, its evaluation on three cases, and the manifest, in one folder."""
    folder = tmp_path_factory.mktemp("card")
    write_small_checkpoint(folder / "small.safetensors", patch_size=(16, 16, 16))
    names = ("one", "two", "three")
    cases = [write_case(folder, name, seed=seed) for seed, name in enumerate(names)]
    write_manifest(folder / "cases.csv", cases)
    with pytest.MonkeyPatch.context() as patch:
        run_train(
            patch, "evaluate", "--checkpoint", folder / "small.safetensors", "--manifest",
            folder / "cases.csv", "--split", "val", "--clicks", str(CLICKS), "--device", "cpu",
            "--threads", "1", "--out", folder / "results",
        )  # fmt: skip
    return folder


def write(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, cases: int, status: int = 0, **files: Path
) -> str:
    named = {"checkpoint": "small.safetensors", "results": "results", "manifest": "cases.csv"}
    paths = {name: files.get(name, evaluated / default) for name, default in named.items()}
    paths |= {name: path for name, path in files.items() if name not in named}
    words = [word for name, path in paths.items() for word in (f"--{name}", path)]
    run_train(
        monkeypatch, "card", *words, "--cases", str(cases), "--device", "cpu", "--threads", "1",
        status=status,
    )  # fmt: skip
    return (evaluated / "small.md").read_text("utf-8") if status == 0 else ""


def test_the_card_shows_the_worst_cases_first(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = write(evaluated, monkeypatch, 2)
    with (evaluated / "results" / "results.csv").open(newline="") as stream:
        last = {row["case"]: float(row["dice"]) for row in csv.DictReader(stream)
                if row["round"] == str(CLICKS)}  # fmt: skip
    section = card.partition("## Failure cases")[2]
    shown = re.findall(r"^\| (\w+), \d+ mL \|", section, re.M)
    assert shown == sorted(last, key=lambda case: last[case])[:2]
    assert f"Dice {100 * last[shown[0]]:.0f} %" in section
    assert "# small" in card.splitlines()[0]


def test_every_picture_of_the_card_is_a_drawing_of_truth_mask_and_clicks(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = write(evaluated, monkeypatch, 3)
    sources = re.findall(r'<img src="([^"]+)"', card)
    assert len(sources) == 3 * 2  # without a click and after all
    for source in sources:
        drawing = ElementTree.parse(evaluated / source).getroot()
        parts = [element.tag.rpartition("}")[2] for element in drawing.iter()]
        assert parts.count("image") == 1
        assert parts.count("path") == 2
        clicks = parts.count("circle") + parts.count("rect")
        assert clicks == (0 if source.endswith("-0.svg") else CLICKS)


def test_the_card_links_to_what_else_was_tried(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = evaluated.parent / "notes.md"
    notes.write_text("# Tried\n", encoding="utf-8")
    card = write(evaluated, monkeypatch, 1, tried=Path(f"{notes}#tried"))
    address = re.findall(r"\[What else was tried\]\(([^)#]+)#tried\)", card)
    assert [(evaluated / path).resolve() for path in address] == [notes.resolve()]
    assert "What else" not in write(evaluated, monkeypatch, 1)
    write(evaluated, monkeypatch, 1, status=2, tried=evaluated / "none.md")


def test_the_card_of_a_network_for_any_scan_promises_no_kind_of_lesion(tmp_path: Path) -> None:
    path = write_small_checkpoint(tmp_path / "any.safetensors", modality="any")
    card = model_card(read_checkpoint_info(path))
    assert "CT or MR. A person looks" in card
    assert "without a click it outlines nothing" in card
    assert "one kind of lesion" not in card


def test_pictures_of_an_earlier_card_go(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(evaluated, monkeypatch, 3)
    card = write(evaluated, monkeypatch, 1)
    kept = {f"{path.parent.name}/{path.name}" for path in evaluated.glob("*/*.svg")}
    assert kept == set(re.findall(r'<img src="([^"]+)"', card))


def test_results_of_other_weights_are_refused(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_small_checkpoint(evaluated / "other.safetensors", patch_size=(16, 16, 16), seed=7)
    write(evaluated, monkeypatch, 1, status=2, checkpoint=other)
    assert "does not give the masks of its results" in capsys.readouterr().err
    assert not other.with_suffix(".md").exists()


def test_a_manifest_without_the_case_is_refused(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    others = evaluated / "others.csv"
    write_manifest(others, [write_case(evaluated, "another", LESION)])
    write(evaluated, monkeypatch, 1, status=2, manifest=others)
    assert "does not list the case" in capsys.readouterr().err
