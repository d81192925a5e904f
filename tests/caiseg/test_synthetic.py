"""Synthetic scans keep what their configuration promises."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from caiseg.errors import InvalidInput
from caiseg.synthetic import SyntheticScan, SyntheticScanConfig, generate_scan
from caiseg.synthetic.anatomy import Tissue, grow_head
from caiseg.synthetic.noise import smooth_noise
from tests.caiseg.lesion_masks import count_components, surroundings

SMALL = SyntheticScanConfig(
    shape=(48, 56, 36), spacing=(3.0, 3.0, 4.0), lesion_radius=(10.0, 14.0), noise=(0.01, 0.01)
)
CLEAN = SMALL.model_copy(
    update={
        "lesion_count": (1, 1),
        "border": "sharp",
        "noise": (0.0, 0.0),
        "bias_field": (0.0, 0.0),
        "texture": 0.0,
        "rim_probability": 0.0,
        "core_probability": 0.0,
    }
)
SEEDS = range(4)


def vary(config: SyntheticScanConfig, **changes: object) -> SyntheticScanConfig:
    return SyntheticScanConfig.model_validate(config.model_dump() | changes)


def in_ras(array: NDArray[np.generic], scan: SyntheticScan) -> NDArray[np.generic]:
    return np.asarray(nib.as_closest_canonical(nib.Nifti1Image(array, scan.affine)).dataobj)


def test_same_seed_gives_the_same_bytes() -> None:
    first, second = generate_scan(SMALL, 3), generate_scan(SMALL, 3)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.lesion.tobytes() == second.lesion.tobytes()
    assert first.affine.tobytes() == second.affine.tobytes()


def test_another_seed_gives_another_scan() -> None:
    first, second = generate_scan(SMALL, 3), generate_scan(SMALL, 4)
    assert not np.array_equal(first.image, second.image)
    assert not np.array_equal(first.lesion, second.lesion)


def test_noise_leaves_the_lesion_where_it_was() -> None:
    quiet, loud = (generate_scan(vary(SMALL, noise=(n, n)), 5) for n in (0.0, 0.1))
    np.testing.assert_array_equal(quiet.lesion, loud.lesion)
    assert np.abs(loud.image - quiet.image).mean() > 0.05


def test_scan_has_the_documented_types_and_grid() -> None:
    scan = generate_scan(SMALL, 0)
    assert scan.image.shape == scan.lesion.shape == SMALL.shape
    assert scan.image.dtype == np.float32
    assert scan.lesion.dtype == bool
    assert scan.spacing == pytest.approx(SMALL.spacing)
    np.testing.assert_allclose(nib.affines.voxel_sizes(scan.affine), scan.spacing)
    assert np.isfinite(scan.image).all()
    assert scan.image.min() >= 0


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("slice_averaging", [1, 3])
def test_there_are_as_many_separate_lesions_as_asked_for(number: int, slice_averaging: int) -> None:
    config = vary(
        SMALL,
        lesion_count=(number, number),
        slice_averaging=(slice_averaging, slice_averaging),
        lesion_radius=(8.0, 12.0),
    )
    for seed in SEEDS:
        assert count_components(generate_scan(config, seed).lesion) == number


def test_lesions_lie_inside_the_head() -> None:
    for seed in SEEDS:
        scan = generate_scan(vary(SMALL, contrast="bright", noise=(0.0, 0.0)), seed)
        head = ndimage.binary_fill_holes(scan.image > 0.05)
        assert head[scan.lesion].all()
        assert not head[0].any(), "the head of this configuration ends inside the field of view"


@pytest.mark.parametrize(("contrast", "sign"), [("bright", 1), ("dark", -1)])
def test_contrast_has_the_sign_asked_for(contrast: str, sign: int) -> None:
    for seed in SEEDS:
        scan = generate_scan(vary(CLEAN, contrast=contrast, fluid_intensity=(0.5, 0.5)), seed)
        inside = np.median(scan.image[scan.lesion])
        outside = np.median(scan.image[surroundings(scan.lesion)])
        assert sign * (inside - outside) > CLEAN.contrast_strength[0] / 2


def test_mixed_contrast_gives_both_signs() -> None:
    signs = set()
    for seed in range(8):
        scan = generate_scan(vary(CLEAN, contrast="mixed"), seed)
        inside = np.median(scan.image[scan.lesion])
        signs.add(bool(inside > np.median(scan.image[surroundings(scan.lesion)])))
    assert signs == {True, False}


def test_a_blurred_border_fades_out() -> None:
    def steepest_slope(border: str) -> float:
        scan = generate_scan(vary(CLEAN, border=border, border_width=6.0, contrast="bright"), 2)
        edge = scan.lesion ^ ndimage.binary_erosion(scan.lesion)
        slope = ndimage.generic_gradient_magnitude(scan.image, ndimage.sobel)
        return float(np.median(slope[edge]))

    assert steepest_slope("blurred") < 0.8 * steepest_slope("sharp")


def test_a_core_falls_back_towards_healthy_brain() -> None:
    plain, cored = (
        generate_scan(vary(CLEAN, contrast="bright", core_probability=p), 1) for p in (0.0, 1.0)
    )
    np.testing.assert_array_equal(plain.lesion, cored.lesion)
    centre = np.unravel_index(
        ndimage.distance_transform_edt(plain.lesion, sampling=plain.spacing).argmax(),
        plain.lesion.shape,
    )
    assert cored.image[centre] < plain.image[centre] - 0.05


def test_a_rim_stands_out_more_than_the_middle() -> None:
    plain, rimmed = (
        generate_scan(vary(CLEAN, contrast="bright", rim_probability=p), 1) for p in (0.0, 1.0)
    )
    edge = plain.lesion ^ ndimage.binary_erosion(plain.lesion)
    assert rimmed.image[edge].mean() > plain.image[edge].mean() + 0.02
    middle = ndimage.binary_erosion(plain.lesion, iterations=2)
    np.testing.assert_allclose(rimmed.image[middle].max(), plain.image[middle].max(), atol=0.02)


def test_thick_slices_average_thin_ones() -> None:
    thin = generate_scan(CLEAN, 0)
    thick = generate_scan(vary(CLEAN, slice_averaging=(4, 4)), 0)
    assert thick.image.shape == (48, 56, 9)
    assert thick.spacing == pytest.approx((3.0, 3.0, 16.0))
    averaged = thin.image.reshape(48, 56, 9, 4).mean(axis=3)
    healthy = ~ndimage.binary_dilation(thick.lesion, iterations=2)
    same_head = np.corrcoef(averaged[healthy], thick.image[healthy])[0, 1]
    assert same_head > 0.9


def test_thin_slices_that_fill_no_thick_one_are_dropped() -> None:
    assert generate_scan(vary(SMALL, slice_averaging=(5, 5)), 0).image.shape == (48, 56, 7)


@pytest.mark.parametrize("orientation", ["LPS", "SAR", "PIL"])
def test_orientation_moves_voxels_but_not_the_patient(orientation: str) -> None:
    plain = generate_scan(vary(SMALL, max_tilt=10.0), 1)
    stored = generate_scan(vary(SMALL, max_tilt=10.0, orientation=orientation), 1)
    assert "".join(nib.aff2axcodes(stored.affine)) == orientation
    np.testing.assert_array_equal(in_ras(stored.image, stored), plain.image)
    np.testing.assert_array_equal(
        in_ras(stored.lesion.astype(np.uint8), stored), plain.lesion.astype(np.uint8)
    )
    voxel = np.argwhere(stored.lesion).mean(axis=0)
    np.testing.assert_allclose(
        nib.affines.apply_affine(stored.affine, voxel),
        nib.affines.apply_affine(plain.affine, np.argwhere(plain.lesion).mean(axis=0)),
    )


def test_tilt_makes_the_affine_oblique_but_keeps_it_orthogonal() -> None:
    scan = generate_scan(vary(SMALL, max_tilt=10.0), 1)
    assert nib.affines.obliquity(scan.affine).max() > 0.02
    axes = scan.affine[:3, :3] / scan.spacing
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1)


def test_a_bias_field_multiplies_the_image_smoothly() -> None:
    flat, biased = (generate_scan(vary(CLEAN, bias_field=(b, b)), 0) for b in (0.0, 0.3))
    head = flat.image > 0.05
    logarithm = np.zeros_like(flat.image)
    logarithm[head] = np.log(biased.image[head] / flat.image[head])
    assert logarithm[head].std() > 0.03
    neighbours = head[1:] & head[:-1]
    assert np.abs(np.diff(logarithm, axis=0))[neighbours].max() < 0.1


@pytest.mark.parametrize("tissues", [1, 2, 5])
def test_a_brain_has_the_tissues_asked_for_in_similar_amounts(tissues: int) -> None:
    labels = grow_head(vary(SMALL, tissue_count=tissues), np.random.default_rng(0)).labels
    found, amounts = np.unique(labels[labels >= Tissue.BRAIN], return_counts=True)
    assert found.tolist() == list(range(Tissue.BRAIN, Tissue.BRAIN + tissues))
    assert amounts.min() > 0.5 * amounts.max()


def test_shapes_come_from_a_folder_of_masks(tmp_path: Path) -> None:
    bar = np.zeros((30, 30, 30), np.uint8)
    bar[12:18, 14:16, 14:16] = 1
    nib.save(nib.Nifti1Image(bar, np.diag([6.0, 6.0, 6.0, 1.0])), tmp_path / "bar.nii.gz")
    scan = generate_scan(vary(CLEAN, mask_folder=tmp_path), 0)
    box = ndimage.find_objects(scan.lesion.astype(np.uint8))[0]
    size = [(s.stop - s.start) * step for s, step in zip(box, scan.spacing, strict=True)]
    assert size[0] > 2 * max(size[1:])
    assert 27 <= size[0] <= 36, "millimetres, whatever the voxels of the mask were"


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no"):
        generate_scan(vary(SMALL, mask_folder=tmp_path), 0)


def test_a_file_that_is_no_mask_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.nii.gz").write_bytes(b"not an image")
    with pytest.raises(InvalidInput, match=r"broken\.nii\.gz"):
        generate_scan(vary(SMALL, mask_folder=tmp_path), 0)


def test_an_empty_mask_is_refused_by_name(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8), np.uint8), np.eye(4)), tmp_path / "empty.nii")
    with pytest.raises(InvalidInput, match=r"empty\.nii"):
        generate_scan(vary(SMALL, mask_folder=tmp_path), 0)


def test_more_lesions_than_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="fewer lesions"):
        generate_scan(vary(SMALL, lesion_count=(500, 500), shape=(16, 16, 16)), 0)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (4, 48, 48)},
        {"spacing": (0.0, 1.0, 1.0)},
        {"noise": (0.2, 0.1)},
        {"orientation": "RRS"},
        {"lesion_cuont": (1, 1)},
    ],
)
def test_a_wrong_setting_is_refused_by_name(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        vary(SMALL, **change)


def test_smooth_noise_is_smooth_and_standardised() -> None:
    rng = np.random.default_rng(0)
    field = smooth_noise(rng, (80, 90, 40), (1.0, 1.0, 2.0), wavelength=10.0)
    assert field.shape == (80, 90, 40)
    assert field.mean() == pytest.approx(0, abs=0.1)
    assert field.std() == pytest.approx(1, abs=0.1)
    assert np.abs(np.diff(field, axis=0)).max() < 1.5
    per_mm = [np.abs(np.diff(field, axis=axis)).mean() for axis in (0, 1)]
    assert np.abs(np.diff(field, axis=2)).mean() == pytest.approx(2 * np.mean(per_mm), rel=0.15)
