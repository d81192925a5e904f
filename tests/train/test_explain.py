"""The page that shows what every click did."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from tests.train.scripted import write_case
from train.drawing.slices import heat
from train.manifest import write_manifest


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, status: int = 0) -> None:
    words = ("explain", *arguments, "--threads", "1", "--device", "cpu")
    run_train(monkeypatch, *words, status=status)


def test_every_click_has_its_maps_on_one_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", patch_size=(16, 16, 16))
    manifest = tmp_path / "cases.csv"
    write_manifest(manifest, [write_case(tmp_path)])
    arguments = ("--checkpoint", checkpoint, "--manifest", manifest, "--out", tmp_path / "out")

    run_command(monkeypatch, *arguments, "--case", "one", "--clicks", "2")
    page = (tmp_path / "out" / "explanation.html").read_text("utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert [title.split(",")[0].split(":")[0] for title in titles] == [
        "Without clicks", "Click 1", "Click 2",
    ]  # fmt: skip
    first, second, _ = (section.split("</section>")[0] for section in page.split("<section>")[1:])
    assert "affinity" not in first
    assert first.count("coarse prediction before") == 2
    assert "after the adjustment" not in first
    clicked = "foreground" if "foreground at" in titles[1] else "background"
    assert f"affinity to the best {clicked} click" in second
    assert "coarse prediction after the adjustment" in second
    assert not re.search(r"(src|href)=\"https?:", page)
    assert "plotly.js v" not in page

    run_command(monkeypatch, *arguments, "--case", "two", status=2)
    assert "The manifest has no case 'two'; its first ones are one." in capsys.readouterr().err


def test_heat_runs_from_dark_to_bright() -> None:
    dark, middle, bright = heat(np.array([0.0, 0.5, 1.0])).astype(int).sum(axis=-1)
    assert dark < middle < bright
    np.testing.assert_array_equal(heat(np.array([-1.0, 2.0])), heat(np.array([0.0, 1.0])))


def test_a_scan_of_another_modality_than_the_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors")
    write_manifest(tmp_path / "cases.csv", [replace(write_case(tmp_path), modality="CT")])
    run_command(
        monkeypatch, "--checkpoint", checkpoint, "--manifest", tmp_path / "cases.csv",
        "--case", "one", "--out", tmp_path / "out", status=2,
    )  # fmt: skip
    assert "the scan is marked CT, and the weights are for MR" in capsys.readouterr().err
