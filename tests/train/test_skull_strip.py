"""The rough skull strip, and the training samples that it makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.train.small_experiment import small_config
from train.dataset import SampleKey, StoredCases, TrainingSamples
from train.prepared import PreparedCase
from train.skull_strip import brain_mask

SPACING = (2.0, 2.0, 4.0)
SHAPE = (96, 112, 44)
SCALP_MM, SKULL_MM = 5.0, 7.0


def head() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """A head in mm: a grey brain with dark ventricles and noise, a dark skull, a bright scalp."""
    axes = np.ogrid[tuple(slice(0, size) for size in SHAPE)]
    away = [(axis - size / 2) * step for axis, size, step in zip(axes, SHAPE, SPACING, strict=True)]
    radius = np.sqrt(away[0] ** 2 + (away[1] * 0.85) ** 2 + away[2] ** 2)
    brain, skull = radius <= 62, radius <= 62 + SKULL_MM
    scalp = (radius <= 62 + SKULL_MM + SCALP_MM) & ~skull
    rng = np.random.default_rng(0)
    image = np.zeros(SHAPE, np.float32)
    image[skull] = 0.15
    image[brain] = 1.0
    image[radius <= 10] = 0.3
    image[scalp] = 1.8
    image += rng.normal(0, 0.04, SHAPE).astype(np.float32) * (image > 0)
    return image.clip(0), brain, scalp


def test_the_brain_is_found_and_skull_and_scalp_are_not() -> None:
    image, brain, scalp = head()
    found = brain_mask(image, SPACING)
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.95
    assert not (found & scalp).any()
    assert found[SHAPE[0] // 2, SHAPE[1] // 2, SHAPE[2] // 2]  # ventricles belong to the brain


def test_an_eye_that_a_nerve_joins_to_the_brain_is_left_out() -> None:
    image, brain, _ = head()
    axes = np.ogrid[tuple(slice(0, size) for size in SHAPE)]
    x, y, z = (
        (axis - size / 2) * step for axis, size, step in zip(axes, SHAPE, SPACING, strict=True)
    )
    away = np.sqrt(x**2 + (y - 87) ** 2 + z**2)
    eye = away <= 9
    image[(away <= 21) & ~brain] = 1.8
    image[(away <= 18) & ~brain] = 0.15
    image[eye | ((x**2 + z**2 <= 4**2) & (y > 60) & (y <= 87))] = 1.0
    found = brain_mask(image, SPACING)
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.95
    assert (found & eye).sum() < 0.1 * eye.sum()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_without_contrast_there_is_no_brain(value: float) -> None:
    assert not brain_mask(np.full((32, 32, 12), value, np.float32), SPACING).any()


def test_thin_bright_lines_are_no_brain() -> None:
    image = np.zeros((48, 48, 16), np.float32)
    image[::8] = 1.0
    assert not brain_mask(image, SPACING).any()


def samples_of(case: PreparedCase, share: float) -> TrainingSamples:
    config = small_config(
        data={"crop_size": [*SHAPE[:2], 48], "lesion_centred_share": 1.0},
        augmentation={"p": 0.0, "skull_strip": share},
    )
    return TrainingSamples(StoredCases([case]), config)


@pytest.fixture(scope="module")
def case() -> PreparedCase:
    image, brain, _ = head()
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[20:30, 50:60, 18:24] = True
    # A lesion that reaches into the skull, as a tool's outline of a brain may cut one.
    lesion[14:20, 54:58, 20:22] = True
    assert (lesion & ~brain).any()
    image[lesion] = 1.4
    spacing = torch.tensor(SPACING)
    return PreparedCase("head", torch.from_numpy(image), torch.from_numpy(lesion), spacing)


def test_stripped_samples_have_no_scalp_and_the_whole_lesion(case: PreparedCase) -> None:
    key = SampleKey(0, 0, 0)
    whole, stripped = (samples_of(case, share)[key] for share in (0.0, 1.0))
    assert torch.equal(whole["lesion"], stripped["lesion"])
    assert whole["lesion"].sum() == case.lesion.sum()
    lit = {
        name: sample["image"] > sample["image"].min()
        for name, sample in {"whole": whole, "stripped": stripped}.items()
    }
    assert lit["stripped"][stripped["lesion"] > 0].all()
    assert not (lit["stripped"] & ~lit["whole"]).any()
    scalp_and_skull = float((lit["whole"] & ~lit["stripped"]).sum())
    assert scalp_and_skull > 0.2 * float(lit["whole"].sum())


def test_about_the_asked_share_of_samples_is_stripped(case: PreparedCase) -> None:
    samples, whole = samples_of(case, 0.5), samples_of(case, 0.0)
    keys = [SampleKey(epoch, 0, 0) for epoch in range(24)]
    changed = [
        not torch.equal(samples[key]["image"].unique(), whole[key]["image"].unique())
        for key in keys
    ]
    assert 6 <= sum(changed) <= 18


def test_a_scan_without_a_brain_stays_as_it_is(case: PreparedCase) -> None:
    lines = torch.zeros(SHAPE)
    lines[::8] = 1.0
    bare = replace(case, image=lines)
    key = SampleKey(0, 0, 0)
    whole, stripped = (samples_of(bare, share)[key] for share in (0.0, 1.0))
    assert torch.equal(whole["image"], stripped["image"])
