"""From a head and its lesions to a scan."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from caiseg.synthetic.anatomy import Anatomy, Tissue, grow_head
from caiseg.synthetic.config import SyntheticScanConfig
from caiseg.synthetic.lesions import Lesion, average_slices, place_lesions
from caiseg.synthetic.noise import smooth_noise

# Width in voxels of the scanner's point spread, without which borders look cut out.
_POINT_SPREAD = 0.6


@dataclass(frozen=True)
class SyntheticScan:
    """A generated scan and its truth.

    Attributes:
        image: Intensities, float32 of shape ``(I, J, K)`` in the stored orientation.
        lesion: Voxels of all lesions, bool of shape ``(I, J, K)``.
        affine: Voxel to world (RAS+, mm), float64 of shape ``(4, 4)``.
        spacing: Voxel size along the stored axes in mm.
    """

    image: NDArray[np.float32]
    lesion: NDArray[np.bool_]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]


def generate_scan(config: SyntheticScanConfig, seed: int) -> SyntheticScan:
    """Generate one scan; the same configuration and seed give the same bytes.

    Anatomy, lesions, intensities and acquisition draw from streams of their own, so
    that changing the noise, say, leaves every border where it was.

    Args:
        config: What the scan should look like.
        seed: Which of all such scans to make.

    Raises:
        InvalidInput: The lesions do not fit, or ``mask_folder`` holds no usable mask.
    """
    anatomy_rng, lesion_rng, intensity_rng, acquisition_rng = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(4)
    )
    slices = int(acquisition_rng.integers(*config.slice_averaging, endpoint=True))
    config = _fit_to_slices(config, slices)
    anatomy = grow_head(config, anatomy_rng)
    lesions = place_lesions(config, anatomy.room, slices, lesion_rng)
    truth = np.zeros(config.shape, bool)
    for lesion in lesions:
        truth[lesion.window] |= lesion.mask

    image = average_slices(_paint(config, anatomy, lesions, intensity_rng), slices)
    spacing = (*config.spacing[:2], config.spacing[2] * slices)
    image = _acquire(config, image, spacing, acquisition_rng)
    lesion_mask = average_slices(truth, slices) >= 0.5
    affine = _draw_affine(config, image.shape, spacing, acquisition_rng)
    return _store(image, lesion_mask, affine, config.orientation)


def _fit_to_slices(config: SyntheticScanConfig, slices: int) -> SyntheticScanConfig:
    """Drop the thin slices at the top that would not fill a slice of the scan."""
    i, j, k = config.shape
    return config.model_copy(update={"shape": (i, j, k - k % slices)})


def _paint(
    config: SyntheticScanConfig,
    anatomy: Anatomy,
    lesions: list[Lesion],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Give each tissue and lesion its intensity, on the thin-slice grid.

    The idea of TorchIO's ``LabelsToImage``, with smooth variation in place of white
    noise: noise belongs to the acquisition and is added after slices are averaged.
    """
    means = np.zeros(Tissue.BRAIN + config.tissue_count, np.float32)
    means[Tissue.SCALP] = rng.uniform(*config.scalp_intensity)
    means[Tissue.SKULL] = rng.uniform(*config.skull_intensity)
    means[Tissue.FLUID] = rng.uniform(*config.fluid_intensity)
    means[Tissue.CORTEX] = rng.uniform(*config.cortex_intensity)
    means[Tissue.BRAIN :] = rng.uniform(*config.tissue_intensity, config.tissue_count)
    parenchyma = means[Tissue.CORTEX :]

    image = means[anatomy.labels]
    wavelength = 6 * max(config.spacing)
    texture = smooth_noise(rng, config.shape, config.spacing, wavelength)
    image *= 1 + 2 * config.texture * texture
    for lesion in lesions:
        bright = config.contrast == "bright" or (config.contrast == "mixed" and rng.random() < 0.5)
        strength = rng.uniform(*config.contrast_strength)
        base = parenchyma.max() if bright else parenchyma.min()
        profile = _lesion_profile(config, lesion.mask, rng)
        intensity = np.maximum(base + (strength if bright else -strength) * profile, 0)
        _blend(config, image, lesion, intensity, rng)
    return image


def _lesion_profile(
    config: SyntheticScanConfig, mask: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """How much of its contrast a lesion shows: about 1, more in a rim, less in a core."""
    profile = 1 + 0.12 * smooth_noise(rng, mask.shape, config.spacing, 8.0)
    depth = ndimage.distance_transform_edt(mask, sampling=config.spacing)
    # From 0 in the outermost voxels, so that coarse voxels have a rim too, to 1.
    shallowest = depth[mask].min()
    depth = (depth - shallowest) / max(depth.max() - shallowest, 1e-6)
    if rng.random() < config.rim_probability:
        profile[depth < 0.25] *= rng.uniform(1.3, 1.7)
    if rng.random() < config.core_probability:
        wobble = 0.12 * smooth_noise(rng, mask.shape, config.spacing, 10.0)
        profile[depth + wobble > rng.uniform(0.55, 0.7)] = rng.uniform(-0.6, 0.4)
    return np.asarray(profile, np.float32)


def _blend(
    config: SyntheticScanConfig,
    image: NDArray[np.float32],
    lesion: Lesion,
    intensity: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Put a lesion into the image, fading out over its border where it is blurred."""
    opacity = lesion.mask.astype(np.float32)
    if config.border == "blurred" or (config.border == "mixed" and rng.random() < 0.5):
        sigma = [config.border_width / step for step in config.spacing]
        opacity = ndimage.gaussian_filter(opacity, sigma)
    image[lesion.window] += opacity * (intensity - image[lesion.window])


def _acquire(
    config: SyntheticScanConfig,
    image: NDArray[np.float32],
    spacing: tuple[float, float, float],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Add the scanner's in-plane blur, its bias field and its Rician noise."""
    image = ndimage.gaussian_filter(image, (_POINT_SPREAD, _POINT_SPREAD, 0))
    field_of_view = max(np.multiply(image.shape, spacing))
    bias = smooth_noise(rng, image.shape, spacing, field_of_view)
    image *= np.exp(rng.uniform(*config.bias_field) * bias)
    deviation = np.float32(rng.uniform(*config.noise))
    real, imaginary = deviation * rng.standard_normal((2, *image.shape), np.float32)
    return np.asarray(np.hypot(image + real, imaginary))


def _draw_affine(
    config: SyntheticScanConfig,
    shape: tuple[int, ...],
    spacing: tuple[float, float, float],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """A tilted RAS+ grid whose middle lies within 20 mm of the world's origin."""
    tilt = rng.uniform(-config.max_tilt, config.max_tilt, 3)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix() * spacing
    middle = (np.asarray(shape) - 1) / 2
    affine[:3, 3] = rng.uniform(-20, 20, 3) - affine[:3, :3] @ middle
    return affine


def _store(
    image: NDArray[np.float32],
    lesion: NDArray[np.bool_],
    affine: NDArray[np.float64],
    orientation: str,
) -> SyntheticScan:
    """Flip and permute the axes from RAS+ to the stored orientation; world positions stay."""
    transform = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(orientation)
    )
    affine = affine @ nib.orientations.inv_ornt_aff(transform, image.shape)
    i, j, k = (float(size) for size in nib.affines.voxel_sizes(affine))
    return SyntheticScan(
        image=np.ascontiguousarray(nib.orientations.apply_orientation(image, transform)),
        lesion=np.ascontiguousarray(nib.orientations.apply_orientation(lesion, transform)),
        affine=affine,
        spacing=(i, j, k),
    )
