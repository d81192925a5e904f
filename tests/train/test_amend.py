"""Settings around a checkpoint's weights change without a training, and are told of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from caiseg import CAISegPredictor, load_checkpoint
from caiseg.guided_filter import GuidedFilterConfig
from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from train.amend import amend


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = write_small_checkpoint(tmp_path / "small.safetensors")
    amend(path, path, figures={"Dice after": {"5 clicks": 0.5}})
    return path


def test_the_filter_changes_and_the_weights_stay(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_checkpoint(checkpoint)
    out = checkpoint.with_name("filtered.safetensors")

    run_train(
        monkeypatch, "amend", "--checkpoint", checkpoint, "--out", out,
        "--set", "guided_filter.radius_mm=8", "--set", "description=Follows edges.",
    )  # fmt: skip

    after = load_checkpoint(out)
    assert after.info.guided_filter == GuidedFilterConfig(radius_mm=8)
    assert after.info.description == "Follows edges."
    assert after.info.provenance["amended"] == [
        {
            "from sha256": before.sha256,
            "set": ["guided_filter.radius_mm=8", "description=Follows edges."],
        }
    ]
    weights = before.network.state_dict()
    for name, tensor in after.network.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], rtol=0, atol=0)
    card = out.with_suffix(".md").read_text("utf-8")
    assert "Follows edges." in card
    assert "radius mm: 8" in card


def test_figures_of_other_masks_are_dropped_and_those_of_the_same_kept(checkpoint: Path) -> None:
    renamed = amend(checkpoint, checkpoint.with_name("a.safetensors"), ["name=other"])
    filtered = amend(checkpoint, checkpoint.with_name("b.safetensors"), ["guided_filter={}"])

    assert renamed.figures == {"Dice after": {"5 clicks": 0.5}}
    assert filtered.guided_filter == GuidedFilterConfig()
    assert filtered.figures == {}


def test_the_reach_of_a_click_is_set_and_shown(checkpoint: Path) -> None:
    nearer = amend(checkpoint, checkpoint, ["click_reach_mm=40"])

    assert nearer.click_reach_mm == 40
    assert nearer.figures == {}, "they were of other masks"
    assert "| reach of a click, mm | 40" in checkpoint.with_suffix(".md").read_text("utf-8")
    assert CAISegPredictor.from_checkpoint(checkpoint).reach_mm == 40


def test_local_changes_are_set_and_shown(checkpoint: Path) -> None:
    local = amend(checkpoint, checkpoint, ["local_changes=true"])

    assert local.local_changes
    assert local.figures == {}, "they were of other masks"
    card = checkpoint.with_suffix(".md").read_text("utf-8")
    assert "| a click changes the mask | within 4 times its distance from the border" in card
    assert CAISegPredictor.from_checkpoint(checkpoint).local_changes


def test_masks_of_clicked_pieces_alone_are_set_and_shown(checkpoint: Path) -> None:
    tidy = amend(checkpoint, checkpoint, ["clicked_pieces=true"])

    assert tidy.clicked_pieces
    assert tidy.figures == {}, "they were of other masks"
    card = checkpoint.with_suffix(".md").read_text("utf-8")
    assert "| pieces that clicks bring in | those that somebody clicked" in card
    assert CAISegPredictor.from_checkpoint(checkpoint).clicked_pieces


def test_the_filter_can_be_taken_away(checkpoint: Path) -> None:
    amend(checkpoint, checkpoint, ["guided_filter={}"])

    assert amend(checkpoint, checkpoint, ["guided_filter=null"]).guided_filter is None


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("preprocessing.spacing=[1,1,1]", "trained with preprocessing"),
        ("guided_filter.radius_mm=-1", "guided_filter.radius_mm"),
        ("guided_filter.size=3", "guided_filter.size"),
        ("click_reach_mm=0", "click_reach_mm"),
        ("click_reach_mm=.inf", "click_reach_mm"),
        ("description", "section.key=value"),
    ],
)
def test_what_cannot_be_amended_is_named(
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    override: str,
    words: str,
) -> None:
    out = checkpoint.with_name("out.safetensors")

    run_train(
        monkeypatch, "amend", "--checkpoint", checkpoint, "--out", out, "--set", override, status=2
    )

    assert words in capsys.readouterr().err
    assert not out.exists()


def test_figures_come_from_the_summary_of_an_evaluation(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = checkpoint.with_name("summary.json")
    summary.write_text(json.dumps({}), encoding="utf-8")

    run_train(
        monkeypatch, "amend", "--checkpoint", checkpoint, "--out", checkpoint, "--figures",
        summary, status=2,
    )  # fmt: skip

    assert "not the summary of an evaluation" in capsys.readouterr().err
