"""Many people click at once, and the benchmark says how long the unlucky ones wait."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from caiseg.errors import InvalidInput
from tests.networks import write_small_checkpoint
from train.benchmark import inference, people
from train.benchmark.people import PeopleBenchmark, measure_people
from train.cli import app


@pytest.mark.slow
def test_everybody_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_GENERATED", (24, 24, 18))
    monkeypatch.setattr(people, "SIZES", {"small": (24, 24, 16)})
    checkpoint, out = write_small_checkpoint(tmp_path / "small.safetensors"), tmp_path / "out.json"
    command = [
        "benchmark", "--what", "people", "--checkpoint", str(checkpoint), "--accelerator", "cpu",
        "--size", "small", "--sessions", "3", "--clicks", "2", "--out", str(out),
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    measured = {
        what: line["value"] for what, line in json.loads(out.read_text())["measured"].items()
    }
    median, late, longest = (
        measured[f"click to answer, {name}"] for name in ("median", "95th percentile", "longest")
    )
    assert 0 < median <= late <= longest
    assert measured["slowest person / fastest"] >= 1
    assert measured["clicks a second, all together"] > 0


def test_a_size_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'huge' is not a size"):
        measure_people(tmp_path / "none", PeopleBenchmark("huge"))
