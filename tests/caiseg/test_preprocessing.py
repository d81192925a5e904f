"""Intensity rules of MR and CT, and the settings that a checkpoint may hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from caiseg.grids import Grid, model_grid
from caiseg.preprocessing import (
    FOREGROUND_LIMIT,
    SOFT_TISSUE_WINDOW,
    Intensities,
    PreprocessingConfig,
    normalise_intensities,
    preprocess,
)


def head() -> Tensor:
    """A bright, noisy ball in a dark, quiet surrounding."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.meshgrid(*[torch.arange(16.0) - 7.5] * 3, indexing="ij")
    inside = torch.stack(axes).norm(dim=0) < 6
    noise = torch.randn(16, 16, 16, generator=generator)
    return torch.where(inside, 400 + 60 * noise, 3 + noise.abs())


def test_mr_is_z_scored_over_the_voxels_brighter_than_the_mean() -> None:
    scan = head()
    result = normalise_intensities(scan, "MR")
    foreground = result[scan > scan.mean()]
    assert float(foreground.mean()) == pytest.approx(0, abs=1e-4)
    assert float(foreground.std()) == pytest.approx(1, abs=1e-3)
    assert float(result[scan < scan.mean()].max()) < -4


def test_bright_artefacts_of_mr_are_clipped_and_the_rest_is_not() -> None:
    scan = head()
    scan[8, 8, 8] = 4000
    result = normalise_intensities(scan, "MR")
    assert float(result.max()) == FOREGROUND_LIMIT
    assert float(result.min()) >= -FOREGROUND_LIMIT
    assert int((result == FOREGROUND_LIMIT).sum()) == 1


def test_ct_is_clipped_to_its_percentiles_then_z_scored() -> None:
    generator = torch.Generator().manual_seed(0)
    scan = torch.randn(20, 20, 20, generator=generator) * 300
    scan[0, 0, 0] = 30_000
    low, high = np.percentile(scan.numpy(), (0.5, 99.5))
    clipped = scan.clamp(float(low), float(high))
    expected = (clipped - clipped.mean()) / clipped.std()
    torch.testing.assert_close(normalise_intensities(scan, "CT"), expected, rtol=1e-4, atol=1e-4)


def test_ct_whose_percentiles_coincide_keeps_its_contrast() -> None:
    scan = torch.zeros(20, 20, 20)
    scan[:2, :2, :2] = 500
    result = normalise_intensities(scan, "CT")
    assert bool(torch.isfinite(result).all())
    assert float(result[0, 0, 0]) > float(result[-1, -1, -1])


def test_mr_whose_bright_voxels_are_alike_keeps_its_contrast() -> None:
    scan = torch.zeros(8, 8, 8)
    scan[:2] = 5
    result = normalise_intensities(scan, "MR")
    assert bool(torch.isfinite(result).all())
    assert float(result[0, 0, 0]) > float(result[-1, -1, -1])


def chest() -> npt.NDArray[np.int16]:
    """Hounsfield units: air, lung, fat, an organ and a lesion in it, and bone."""
    scan = np.full((16, 16, 16), -1000, dtype=np.int16)
    scan[2:14, 2:14] = -100
    scan[3:7, 3:13] = -800
    scan[8:13, 3:13] = 60
    scan[9:11, 5:8] = 90
    scan[12:13, 10:12] = 1500
    return scan


def same_grid(scan: npt.NDArray[Any], modality: Intensities) -> Tensor:
    grid = Grid((16, 16, 16), np.diag([2.0, 2.0, 2.0, 1.0]))
    return preprocess(scan, grid, model_grid(grid, (2.0, 2.0, 2.0)), modality)


def test_a_network_for_any_modality_sees_ct_through_the_soft_tissue_window() -> None:
    scan = chest()
    shown = same_grid(scan, "any")
    torch.testing.assert_close(shown, same_grid(scan.clip(*SOFT_TISSUE_WINDOW), "MR"))
    lesion = float(shown[9, 5, 5] - shown[9, 12, 5])
    assert lesion > 3 * float(same_grid(scan, "CT")[9, 5, 5] - same_grid(scan, "CT")[9, 12, 5])
    assert float(shown[0, 0, 0]) == float(shown[4, 5, 5])  # air and lung


def test_a_network_for_any_modality_sees_mr_as_one_for_mr_does() -> None:
    scan = head().numpy()
    torch.testing.assert_close(same_grid(scan, "any"), same_grid(scan, "MR"))
    negative = (scan - scan.mean()) / scan.std()
    torch.testing.assert_close(same_grid(negative, "any"), same_grid(negative, "MR"))


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_gain_and_offset_of_the_scanner_do_not_matter(modality: Intensities) -> None:
    scan = head()
    torch.testing.assert_close(
        normalise_intensities(7 * scan + 1000, modality),
        normalise_intensities(scan, modality),
        rtol=1e-3,
        atol=2e-3,
    )


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_a_scan_without_contrast_becomes_zeros(modality: Intensities) -> None:
    result = normalise_intensities(torch.full((4, 4, 4), 37, dtype=torch.int16), modality)
    assert result.dtype == torch.float32
    assert not result.any()


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_integers_are_accepted_and_left_alone(modality: Intensities) -> None:
    scan = head().round().to(torch.int16)
    before = scan.clone()
    result = normalise_intensities(scan, modality)
    assert result.dtype == torch.float32
    assert result.shape == scan.shape
    assert torch.equal(scan, before)


def test_a_scan_is_resampled_to_the_model_grid_first() -> None:
    display = Grid((16, 16, 8), np.diag([1.0, 1.0, 4.0, 1.0]))
    model = model_grid(display, (2.0, 2.0, 2.0))
    data = np.broadcast_to(np.arange(16.0)[:, None, None], (16, 16, 8))
    result = preprocess(data, display, model, "CT")
    assert tuple(result.shape) == model.shape == (8, 8, 16)
    along_i = result.mean(dim=(1, 2))
    assert bool((along_i.diff() > 0).all())
    assert float(result.std(dim=(1, 2)).max()) < 1e-5


def test_config_survives_json() -> None:
    config = PreprocessingConfig(modality="CT", spacing=(0.8, 0.8, 2.5), patch_size=(128, 128, 48))
    assert PreprocessingConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"modality": "PET"}, "modality"),
        ({"spacing": (0.0, 1.0, 1.0)}, "spacing"),
        ({"spacing": (1e-9, 1.0, 1.0)}, "spacing"),
        ({"spacing": (float("nan"), 1.0, 1.0)}, "spacing"),
        ({"spacing": (1.0, 1.0)}, "spacing"),
        ({"patch_size": (8, 64, 64)}, "patch_size"),
        ({"patch_size": (10**6, 64, 64)}, "patch_size"),
        ({"window": 3}, "window"),
    ],
)
def test_impossible_settings_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    settings = {"modality": "MR", "spacing": (1.0, 1.0, 1.0), "patch_size": (64, 64, 64)}
    with pytest.raises(ValidationError, match=named):
        PreprocessingConfig.model_validate(settings | change)
