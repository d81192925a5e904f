"""What a synthetic scan should look like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat


def _check_ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"the lower limit {limits[0]} is above the upper limit {limits[1]}")
    return limits


def _check_axis_codes(orientation: str) -> str:
    pairs = [{"L", "R"}, {"P", "A"}, {"I", "S"}]
    if len(orientation) != 3 or not all(pair & set(orientation) for pair in pairs):
        raise ValueError(f"{orientation!r} is no orientation; write three axis codes such as RAS")
    return orientation


Size = Annotated[int, Field(ge=16)]
Share = Annotated[float, Field(gt=0, le=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
SliceCount = Annotated[int, Field(ge=1, le=16)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(_check_ordered)]
SliceCountRange = Annotated[tuple[SliceCount, SliceCount], AfterValidator(_check_ordered)]
Range = Annotated[tuple[NonNegative, NonNegative], AfterValidator(_check_ordered)]
PositiveRange = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_check_ordered)]


class SyntheticScanConfig(BaseModel):
    """Settings of :func:`caiseg.synthetic.generate_scan`.

    A pair is a range from which every scan draws uniformly, so one configuration
    describes a whole family of scans. Intensities are in units in which healthy
    brain lies near 0.5 and air at 0.

    Attributes:
        shape: Voxels ``(i, j, k)`` of the thin-slice RAS+ grid on which the head is made.
        spacing: Voxel size ``(i, j, k)`` of that grid in mm.
        slice_averaging: How many neighbouring thin slices (along ``k``) one slice of
            the scan averages. A scan with ``n`` has ``shape[2] // n`` slices that are
            ``n * spacing[2]`` mm thick, with the partial volume of a real thick slice.
        orientation: Axis codes of the stored array; ``LPS`` stores the first two axes flipped.
        max_tilt: Largest rotation of the scan about each world axis, in degrees.
        head_centre: Centre of the head as shares of the field of view.
        head_size: Half axes of the head as shares of the field of view. A head may be
            larger than the field of view: it is then cut, as in most brain scans.
        tissue_count: Number of brain tissues besides the cortex.
        tissue_intensity: Range of the mean of each brain tissue.
        cortex_intensity: Range of the mean of the cortex.
        fluid_intensity: Range of the mean of ventricles, sulci and the space round the brain.
        skull_intensity: Range of the mean of the skull.
        scalp_intensity: Range of the mean of the scalp.
        texture: Standard deviation of the smooth variation within tissue.
        lesion_count: Range of the number of lesions, each one a component of its own.
        lesion_radius: Range of the radius of a lesion in mm. A lesion that finds no room
            is made smaller until it fits.
        lesion_irregularity: How far a border departs from an ellipsoid, as a share of its radius.
        contrast: Whether lesions are brighter than every brain tissue, darker than every
            one, or each one of either kind at random.
        contrast_strength: Range of the distance between lesion and brain in intensity.
        border: Whether lesions end sharply, fade out, or each one either at random.
        border_width: Standard deviation in mm of a border that fades out.
        rim_probability: Share of lesions whose outer shell stands out more.
        core_probability: Share of lesions whose centre falls back towards, or beyond, healthy
            brain, as necrosis and cysts do. The core belongs to the lesion.
        bias_field: Range of the strength of the multiplicative bias field.
        noise: Range of the standard deviation of the Rician noise.
        mask_folder: Folder of NIfTI masks (``.nii`` or ``.nii.gz``) whose shapes replace
            the generated ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shape: tuple[Size, Size, Size] = (96, 112, 64)
    spacing: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (1.8, 1.8, 2.0)
    slice_averaging: SliceCountRange = (1, 1)
    orientation: Annotated[str, AfterValidator(_check_axis_codes)] = "RAS"
    max_tilt: Annotated[float, Field(ge=0, lt=45)] = 0.0

    head_centre: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    head_size: tuple[Share, Share, Share] = (0.42, 0.45, 0.46)
    tissue_count: Count = 3
    tissue_intensity: Range = (0.35, 0.65)
    cortex_intensity: Range = (0.35, 0.65)
    fluid_intensity: Range = (0.05, 0.9)
    skull_intensity: Range = (0.05, 0.3)
    scalp_intensity: Range = (0.3, 1.2)
    texture: NonNegative = 0.02

    lesion_count: CountRange = (1, 3)
    lesion_radius: PositiveRange = (5.0, 20.0)
    lesion_irregularity: Annotated[float, Field(ge=0, le=0.6)] = 0.35
    contrast: Literal["bright", "dark", "mixed"] = "mixed"
    contrast_strength: PositiveRange = (0.1, 0.35)
    border: Literal["sharp", "blurred", "mixed"] = "mixed"
    border_width: NonNegative = 1.5
    rim_probability: Probability = 0.3
    core_probability: Probability = 0.3

    bias_field: Range = (0.0, 0.2)
    noise: Range = (0.0, 0.04)
    mask_folder: Path | None = None


BRAIN_FLAIR = SyntheticScanConfig(
    shape=(224, 256, 84),
    spacing=(0.9375, 0.9375, 5 / 3),
    slice_averaging=(3, 3),
    orientation="LPS",
    max_tilt=6.0,
    head_centre=(0.5, 0.5, 0.36),
    head_size=(0.4, 0.46, 0.6),
    tissue_intensity=(0.46, 0.52),
    cortex_intensity=(0.54, 0.57),
    fluid_intensity=(0.1, 0.14),
    skull_intensity=(0.1, 0.14),
    scalp_intensity=(0.9, 1.1),
    texture=0.015,
    lesion_count=(1, 1),
    lesion_radius=(20.0, 22.0),
    contrast="bright",
    contrast_strength=(0.35, 0.4),
    border="blurred",
    border_width=1.2,
    rim_probability=0.0,
    core_probability=1.0,
    bias_field=(0.06, 0.06),
    noise=(0.015, 0.015),
)
"""A head with one bright lesion, as a clinical FLAIR scan in 5 mm slices shows it."""
