"""The served `universal` outlines what is clicked, in scans unlike any that it was trained on."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from caiseg import CAISegPredictor, Volume, load_volume
from caiseg.synthetic.lesions import draw_blob
from train.click_simulation import next_click
from train.evaluation.metrics import dice_score

SHAPE = (120, 100, 40)
SPACING = (1.6, 1.6, 3.0)
TISSUES = {
    "CT": {"air": -1000, "fat": -100, "muscle": 50, "bone": 700, "one": 5, "other": 140},
    "MR": {"air": 5, "fat": 900, "muscle": 250, "bone": 60, "one": 480, "other": 90},
}
NOISE = {"CT": 12.0, "MR": 20.0}
PLACES = {"one": (40, 50, 20), "other": (84, 46, 18)}

Mask = npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def predictor(repository: Path) -> CAISegPredictor:
    path = repository / "assets" / "checkpoints" / "universal.safetensors"
    return CAISegPredictor.from_checkpoint(path)


def body(folder: Path, modality: str) -> tuple[Volume, dict[str, Mask]]:
    """A trunk of muscle in fat, a spine, and two growths, one darker and one brighter."""
    rng = np.random.default_rng(1)
    values = TISSUES[modality]
    x, y, _ = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    from_middle = (x / 0.9) ** 2 + (y / 0.85) ** 2 + np.zeros(SHAPE)
    data = np.full(SHAPE, float(values["air"]))
    data[from_middle < 1] = values["fat"]
    data[from_middle < 0.75] = values["muscle"]
    data[(x / 0.12) ** 2 + ((y + 0.55) / 0.14) ** 2 + np.zeros(SHAPE) < 1] = values["bone"]
    growths = {}
    for name, place in PLACES.items():
        blob = draw_blob(16.0, SPACING, 0.25, rng)
        box = tuple(
            slice(at - size // 2, at - size // 2 + size)
            for at, size in zip(place, blob.shape, strict=True)
        )
        growths[name] = np.zeros(SHAPE, dtype=bool)
        growths[name][box] = blob
        data[growths[name]] = values[name]
    data = ndimage.gaussian_filter(data, (0.6, 0.6, 0.3)) + rng.normal(0, NOISE[modality], SHAPE)
    least = -1024 if modality == "CT" else 0
    path = folder / f"{modality}.nii.gz"
    nib.save(nib.Nifti1Image(data.clip(least).astype(np.int16), np.diag([*SPACING, 1.0])), path)
    return load_volume(path), growths


@pytest.mark.parametrize("modality", list(TISSUES))
def test_two_clicks_outline_the_growth_that_they_mean_and_no_other(
    predictor: CAISegPredictor, tmp_path: Path, modality: str
) -> None:
    volume, growths = body(tmp_path, modality)
    scan = predictor.encode(volume)
    first = predictor.segment(scan, []).mask
    assert first.sum() < 0.02 * growths["one"].sum(), "it waits for a click"
    for name, growth in growths.items():
        mask, clicks = first, []
        for _ in range(2):
            click = next_click(mask, growth, SPACING)
            assert click is not None
            clicks.append(click)
            mask = predictor.segment(scan, clicks, mask).mask
        assert dice_score(mask, growth) > 0.7
        (another,) = growths.keys() - {name}
        assert mask[growths[another]].mean() < 0.02
