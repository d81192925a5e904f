"""The benchmark of inference measures what it names, with every method."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from caiseg import load_volume
from caiseg.errors import InvalidInput
from tests.networks import write_small_checkpoint
from train.benchmark import inference
from train.benchmark.inference import (
    InferenceBenchmark,
    measure_inference,
    spread_clicks,
    write_generated,
)
from train.benchmark.memory import PeakMemory
from train.benchmark.report import Measurement, Target
from train.cli import app

METHODS = ("caiseg", "caiseg, whole patches", "ritm3d", "random_walker", "graph_cuts")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_small_checkpoint(tmp_path / "small.safetensors")


@pytest.fixture(autouse=True)
def _small_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"256x256x96": (24, 24, 16), "512x512x300": (32, 32, 16)}
    monkeypatch.setattr(inference, "SIZES", sizes)
    monkeypatch.setattr(inference, "_GENERATED", (24, 24, 18))
    monkeypatch.setattr(inference, "HEAD_MM", (48.0, 48.0, 36.0))


# On a scan of a few voxels the walker may stop short of its tolerance; its time is what counts.
@pytest.mark.filterwarnings("ignore:Conjugate gradient convergence:UserWarning")
def test_one_run_measures_every_method_and_writes_ratios(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("maxflow")
    out = tmp_path / "figures.json"
    command = [
        "benchmark", "--what", "inference", "--checkpoint", str(checkpoint), "--accelerator", "cpu",
        "--size", "256x256x96", "--size", "512x512x300", "--repeats", "1", "--threads", "1",
        "--out", str(out),
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    document = json.loads(out.read_text())
    measured = {what: line["value"] for what, line in document["measured"].items()}
    for size in ("256x256x96", "512x512x300"):
        for name in METHODS:
            for what in ("encode", "1 click", "5 clicks", "20 clicks"):
                assert measured[f"{size}, {name}: {what}"] > 0
            assert measured[f"{size}, {name}: memory"] >= 0
        seconds = measured[f"{size}, ritm3d: 5 clicks"] / measured[f"{size}, caiseg: 5 clicks"]
        assert measured[f"{size}, 5: ritm3d / caiseg"] == pytest.approx(seconds)
        assert measured[f"{size}, caiseg: encode / its convolutions"] >= 1
        assert measured[f"{size}, caiseg: patches"] >= 1
    larger = measured["512x512x300, caiseg: 1 click"] / measured["256x256x96, caiseg: 1 click"]
    assert measured["512x512x300 / 256x256x96, 1: caiseg"] == pytest.approx(larger)
    assert document["settings"]["checkpoint"] == str(checkpoint)
    target = document["measured"]["256x256x96, 5: ritm3d / caiseg"]["target"]
    assert target in ("at least 10: reached", "at least 10: missed")


def test_an_unknown_size_is_refused(checkpoint: Path) -> None:
    with pytest.raises(InvalidInput, match="is not a size"):
        measure_inference(checkpoint, InferenceBenchmark(("7x7x7",)))


def test_an_unknown_method_is_refused(checkpoint: Path) -> None:
    with pytest.raises(InvalidInput, match="'magic' is not measured"):
        measure_inference(checkpoint, InferenceBenchmark(("256x256x96",), methods=("magic",)))


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (Target(10, at_least=True), 10.0, "at least 10: reached"),
        (Target(10, at_least=True), 9.9, "at least 10: missed"),
        (Target(1.5), 1.4, "at most 1.5: reached"),
        (Target(1.5), 1.6, "at most 1.5: missed"),
    ],
)
def test_a_figure_stands_beside_what_it_is_to_reach(
    target: Target, value: float, verdict: str
) -> None:
    assert Measurement("click", value, "x", target=target).verdict == verdict


def test_peak_memory_sees_what_is_held_for_a_while() -> None:
    with PeakMemory() as memory:
        held = np.ones(2**25)
        for _ in range(20):
            held += 1
    assert memory.mebibytes > 200


def test_clicks_lie_at_the_same_places_of_the_head_in_every_scan(tmp_path: Path) -> None:
    places = []
    for shape in ((128, 128, 128), (256, 256, 96), (384, 384, 128)):
        lesion = write_generated(tmp_path / "generated.nii", shape)
        clicks = spread_clicks(lesion)
        spacing = np.array(load_volume(tmp_path / "generated.nii").spacing)
        assert [bool(lesion[click.voxel]) for click in clicks] == [True, False] * 10
        # Every scan has the head in its middle.
        places.append(
            [(np.array(click.voxel) + 0.5 - np.array(shape) / 2) * spacing for click in clicks]
        )

    for other in places[1:]:
        apart = np.linalg.norm(np.array(places[0]) - np.array(other), axis=1)
        # At the lesion's border a voxel may have another label than in another scan.
        assert (apart < 5).mean() >= 0.8
