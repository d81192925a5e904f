"""The benchmark of a training measures the training that ``fit`` runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from caiseg.errors import InvalidInput
from caiseg.network import CAISeg
from tests.train.small_experiment import SCANS, small_config
from train.benchmark import training
from train.benchmark.data import CASES, benchmark_cases, measure_facts
from train.benchmark.report import Measurement, write
from train.benchmark.savings import measure_savings
from train.benchmark.training import TrainingBenchmark, measure_training
from train.dataset import SampleKey
from train.generated import GeneratedCases
from train.steps import PARTS, TrainingStep
from train.trainer import BACKWARD, OPTIMIZER


def test_every_part_of_the_interactive_step_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    phases: list[str] = []
    forward = TrainingStep.forward

    def spy(self: TrainingStep, batch: object, phase: str, *rest: object) -> torch.Tensor:
        phases.append(phase)
        return forward(self, batch, phase, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainingStep, "forward", spy)
    lines, device = measure_training(small_config(), TrainingBenchmark(1, 0, "cpu"))
    assert device.type == "cpu"
    assert set(phases) == {"interactive"}
    assert len(phases) > training.WARM_UP + 2, "one step each, with and without a profiler"
    found = {line.what: line for line in lines}
    parts = [found[name] for name in (*PARTS, BACKWARD, OPTIMIZER)]
    assert all(part.value > 0 for part in parts)
    assert sum(part.share or 0 for part in parts) == pytest.approx(1)
    step, data = found["one step"], found["of it waiting for data"]
    assert 0 < data.value < step.value
    assert data.share == pytest.approx(data.value / step.value)
    assert found["samples a second"].value == pytest.approx(2000 / step.value)
    assert found["workers needed"].value >= 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such an accelerator here")
def test_an_accelerator_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidInput, match="--accelerator cuda"):
        measure_training(small_config(), TrainingBenchmark(1, 0, "cuda"))


def batch() -> dict[str, torch.Tensor]:
    lesion = torch.zeros(2, 1, 32, 32, 16)
    lesion[:, :, 8:20, 8:20, 4:10] = 1
    noise = torch.randn(lesion.shape, generator=torch.Generator().manual_seed(0))
    return {
        "image": lesion + 0.3 * noise,
        "lesion": lesion,
        "target": lesion,
        "spacing": torch.full((2, 3), 5.0),
        "key": torch.tensor([[0, 0, 0], [0, 1, 0]]),
    }


def test_a_step_is_compared_with_other_ways_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    config = small_config(loss={"first_mask_weight": 0.5}, schedule={"precision": "bf16"})
    network = CAISeg(config.network)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    lines = measure_savings(network, config, [batch(), batch()])
    assert {line.what for line in lines} == {
        "one step in single precision / in bfloat16",
        "earlier rounds, first answer computed again / reused",
        "one step with instance normalisation / without",
        "one step with PReLU / with ReLU",
        "one step in usual memory order / channels last",
        "one step on one thread / on 2",
    }
    assert torch.get_num_threads() == 2
    assert all(line.value > 0 and line.unit == "x" for line in lines)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name]), "the benchmark is no training"
    assert all(weight.grad is None for weight in network.parameters())
    torch.set_num_threads(threads)


def test_what_a_config_does_without_is_not_compared() -> None:
    config = small_config(network={"norm": "none"})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lines = measure_savings(CAISeg(config.network), config, [batch()])
    torch.set_num_threads(threads)
    assert [line.what.partition(" / ")[2] for line in lines] == ["with ReLU", "channels last"]


def test_the_cases_come_from_a_cache_as_those_of_a_training_do(tmp_path: Path) -> None:
    config = small_config(
        preprocessing={"modality": "CT"}, data={"label_values": [2], "channel": 1}
    )
    cases = benchmark_cases(config, tmp_path)
    assert len(list((tmp_path / "cache").iterdir())) == len(cases) == CASES
    assert cases.draw(SampleKey(0, 1, 0)).facts is not None
    (line,) = measure_facts(cases, config)
    assert line.what == "one sample, scan read whole / in part"
    assert line.value > 0
    assert not measure_facts(cases, small_config())


def test_a_config_that_generates_its_scans_is_measured_making_them(tmp_path: Path) -> None:
    config = small_config(synthetic={"scan": SCANS.model_dump(mode="json")})
    cases = benchmark_cases(config, tmp_path)
    assert isinstance(cases, GeneratedCases)
    first, again = (cases.draw(SampleKey(epoch, 0, 0)).image for epoch in (0, 1))
    assert not torch.equal(first, again)


def test_figures_are_written_with_what_they_depend_on(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    lines = [Measurement("one step", 12.5, "ms")]
    write(path, {"config": "small"}, lines, torch.device("cpu"))
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["measured"] == {"one step": {"value": 12.5, "unit": "ms"}}
    assert document["settings"] == {"config": "small"}
    assert {"processor", "threads"} <= set(document["machine"])
    assert "torch" in document["versions"]
