"""The benchmark in the browser parts a click without a rest, and measures the real app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from caiseg.errors import InvalidInput
from tests.networks import write_small_checkpoint
from train.benchmark import browser, inference
from train.benchmark.app_process import app_serving
from train.benchmark.browser import BrowserBenchmark, measure_browser
from train.cli import app

PARTS = (
    *("page, until it asks", "network", "queue and events", "waiting for the network's turn"),
    *("model", "encoding the mask", "painting"),
)


def test_the_parts_of_a_click_are_the_whole_click() -> None:
    seen = {"pressed": 1000.0, "asked": 1004.0, "arrived": 1090.0, "painted": 1103.0}
    spent = {"answer": 70.0, "wait": 1.0, "click": 60.0, "encode": 0.0}
    parts = browser._parted(seen, spent, network=3.0)
    assert sum(parts[name] for name in PARTS) == pytest.approx(parts["pointer to mask"])
    assert parts["pointer to mask"] == 103
    assert parts["all but the model"] == 43
    assert parts["encoding the mask"] == 9
    assert parts["queue and events"] == 13


@pytest.mark.browser
@pytest.mark.slow
def test_the_real_app_is_measured(
    chromium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMIUM", str(chromium))
    sizes = {"small": (24, 24, 16)}
    monkeypatch.setattr(inference, "_GENERATED", (24, 24, 18))
    monkeypatch.setattr(browser, "SIZES", sizes)
    monkeypatch.setattr(browser, "FRAMES", 10)
    checkpoint, out = write_small_checkpoint(tmp_path / "small.safetensors"), tmp_path / "out.json"
    command = [
        "benchmark", "--what", "browser", "--checkpoint", str(checkpoint), "--accelerator", "cpu",
        "--size", "small", "--clicks", "2", "--out", str(out),
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    measured = json.loads(out.read_text())["measured"]
    assert measured["small: slices a second"]["value"] > 0
    for name in ("pointer to mask", "model", "painting", "network"):
        assert measured[f"small: {name}"]["value"] > 0, name
    whole = measured["small: pointer to mask"]["value"]
    assert measured["small: model"]["value"] < whole


def test_a_size_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'huge' is not a size"):
        measure_browser(tmp_path / "none", BrowserBenchmark(sizes=("huge",)))


def test_an_app_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with (
        pytest.raises(InvalidInput, match="does not start"),
        app_serving(tmp_path / "broken.safetensors", "cpu"),
    ):
        pass
