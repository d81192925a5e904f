"""Training on generated scans: endless, seeded, and without any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from caiseg.errors import InvalidInput
from tests.train.command_line import run_train
from tests.train.small_experiment import SCANS, small_config, write_experiment
from train.config import ExperimentConfig, SyntheticConfig, load_config
from train.dataset import SampleKey, TrainingSamples
from train.fit import FitOptions, fit
from train.generated import GeneratedCases, generate_case, validation_cases
from train.run_folder import RunFolder

SYNTHETIC: dict[str, Any] = {"cases": 2, "val_cases": 1, "scan": SCANS.model_dump(mode="json")}
SCHEDULE = {"pretrain_epochs": 1, "epochs": 1}


def config(**changes: Any) -> ExperimentConfig:
    return small_config(synthetic=SYNTHETIC | changes)


def cases(experiment: ExperimentConfig) -> GeneratedCases:
    assert experiment.synthetic is not None
    return GeneratedCases(experiment, experiment.synthetic)


def test_the_same_key_gives_the_same_scan_to_whoever_asks() -> None:
    first, second = (cases(config()).draw(SampleKey(3, 1, 0)) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.lesion, second.lesion)


def test_every_epoch_case_repeat_and_seed_has_a_scan_of_its_own() -> None:
    keys = [SampleKey(0, 0, 0), SampleKey(1, 0, 0), SampleKey(0, 1, 0), SampleKey(0, 0, 1)]
    images = [cases(config()).draw(key).image for key in keys]
    other = config().model_copy(update={"seed": 1})
    images.append(cases(other).draw(keys[0]).image)
    for number, image in enumerate(images):
        assert not any(torch.equal(image, other) for other in images[:number])


def test_validation_scans_are_always_the_same_and_never_trained_on() -> None:
    experiment = config(val_cases=2)
    assert experiment.synthetic is not None
    first, again = (validation_cases(experiment, experiment.synthetic) for _ in range(2))
    assert [torch.equal(a.image, b.image) for a, b in zip(first, again, strict=True)] == [True] * 2
    trained = cases(experiment).draw(SampleKey(0, 0, 0))
    assert not any(torch.equal(trained.image, case.image) for case in first)


def test_scans_of_any_slice_thickness_lie_on_the_model_grid() -> None:
    scans = SCANS.model_copy(update={"shape": (32, 32, 32), "spacing": (5.0, 5.0, 5.0)})
    for slices in (1, 2, 4):
        thick = scans.model_copy(update={"slice_averaging": (slices, slices)})
        case = generate_case("a", thick, (slices,), config())
        assert case.image.shape == case.lesion.shape == (32, 32, 16)
        assert case.spacing.tolist() == pytest.approx([5, 5, 10])
        assert bool(case.lesion.any())


def test_a_lesion_smaller_than_any_voxel_of_the_model_grid_is_not_lost() -> None:
    tiny = SCANS.model_copy(
        update={"shape": (40, 40, 40), "spacing": (4.0, 4.0, 4.0), "lesion_radius": (2.0, 2.5)}
    )
    for number in range(4):
        assert bool(generate_case("a", tiny, (number,), config()).lesion.any())


def test_samples_of_generated_scans_are_those_of_a_training() -> None:
    sample = TrainingSamples(cases(config()), config())[SampleKey(0, 1, 0)]
    assert sample["image"].shape == sample["lesion"].shape == (1, 32, 32, 16)


def test_a_training_needs_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = write_experiment(tmp_path, synthetic=SYNTHETIC, schedule=SCHEDULE)
    out = tmp_path / "run"
    run_train(
        monkeypatch, "fit", "--config", experiment, "--out", out, "--workers", "1",
        "--threads", "1", "--accelerator", "cpu",
    )  # fmt: skip
    folder = RunFolder(out)
    assert folder.read(folder.state_path)["epoch"] == 2
    assert folder.read_provenance()["cases"] == "generated, 2 an epoch to train on, 1 val"


def options(tmp_path: Path, manifest: Path | None) -> FitOptions:
    return FitOptions("small", tmp_path / "run", tmp_path / "cache", manifest)


def test_a_config_of_real_scans_asks_for_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--manifest, or train with --config synthetic"):
        fit(small_config(), options(tmp_path, None))
    assert not (tmp_path / "run").exists()


def test_a_manifest_beside_generated_scans_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="generates its scans; leave --manifest out"):
        fit(config(), options(tmp_path, tmp_path / "cases.csv"))


def test_the_built_in_config_is_a_start_for_brain_flair() -> None:
    synthetic, brain = load_config("synthetic"), load_config("brain_flair")
    assert synthetic.network == brain.network
    assert synthetic.preprocessing == brain.preprocessing


def test_the_built_in_config_varies_all_that_a_scan_can_vary_in() -> None:
    section = load_config("synthetic").synthetic
    assert isinstance(section, SyntheticConfig)
    scan = section.scan
    for low, high in (
        scan.slice_averaging, scan.tissue_intensity, scan.cortex_intensity, scan.fluid_intensity,
        scan.lesion_count, scan.lesion_radius, scan.contrast_strength, scan.bias_field, scan.noise,
    ):  # fmt: skip
        assert low < high
    assert (scan.contrast, scan.border) == ("mixed", "mixed")
    assert 0 < scan.rim_probability < 1
    assert 0 < scan.core_probability < 1
