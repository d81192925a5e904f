"""Experiment configs: one readable YAML file each, validated, any key overridable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from caiseg.errors import InvalidInput
from caiseg.guided_filter import GuidedFilterConfig
from caiseg.network_config import NetworkConfig
from caiseg.preprocessing import PreprocessingConfig
from caiseg.synthetic import SyntheticScanConfig
from train.config_document import read_document
from train.config_values import (
    ClicksRange,
    CountRange,
    CropSize,
    ExtentRange,
    LabelValue,
    ScaleRange,
    ScanSize,
    Section,
    Share,
)


class AugmentationConfig(Section):
    """Random changes of a training sample, each applied with probability ``p`` (section IV-A)."""

    p: float = Field(0.5, ge=0, le=1)
    """Probability of each augmentation, one by one."""
    flip_axes: tuple[Literal[0, 1, 2], ...] = (0, 1, 2)
    """Axes that may be flipped: all in the paper; (0,), left to right, where a body keeps its
    orientation in every scan."""
    scales: ScaleRange = (0.9, 1.1)
    """Range of the isotropic scaling."""
    degrees: float = Field(10.0, ge=0, le=180)
    """Largest rotation about each axis."""
    noise_std: float = Field(0.1, ge=0, le=10)
    """Largest standard deviation of the Gaussian noise, in normalised intensities."""
    bias_field: bool = True
    """Not for CT: smooth multiplicative shading."""
    gamma: float = Field(0.0, ge=0, le=1)
    """Largest log-gamma of a contrast change; 0 leaves contrast alone as in the paper."""
    blur_mm: float = Field(0.0, ge=0, le=100)
    """Largest standard deviation of a Gaussian blur; 0 as in the paper."""
    low_resolution: float = Field(1.0, ge=1, le=16)
    """Largest factor by which one axis, chosen at random, is sampled more coarsely and back; 1 as
    in the paper. Scanners differ in sharpness more than one source of scans shows."""
    contrast: Share = 0.0
    """Share of samples, whatever ``p``, that look as if another sequence or scanner had made them:
    their intensities go through a random curve, see :mod:`train.contrast`. Not for CT."""
    skull_strip: Share = 0.0
    """Share of samples whose skull and scalp are taken away, whatever ``p``; MR scans of heads
    only, see :mod:`train.skull_strip`. Many collections of brains come stripped."""


class ClickConfig(Section):
    """Click simulation while training (sections III-F and IV-B2)."""

    foreground: ClicksRange = (1, 10)
    """Fewest and most first-round clicks inside the eroded lesion."""
    background: ClicksRange = (0, 20)
    """Fewest and most first-round clicks in the band around the lesion."""
    band_mm: float = Field(20.0, gt=0, le=1000)
    """Width of that band."""
    erosion_mm: float = Field(3.0, ge=0, le=1000)
    """Depth of the erosion; a lesion that it would remove is eroded less."""
    component_share: float = Field(0.1, ge=0, le=1)
    """Later rounds click every error component larger than this share of the lesion."""
    rounds: CountRange = (3, 3)
    """Fewest and most rounds of a training step; only the last one is learned from."""
    zero_click_share: float = Field(0.0, ge=0, le=1)
    """Share of samples whose first round has no click, as the app's first mask has none."""
    centre_share: float = Field(0.0, ge=0, le=1)
    """Share of later-round clicks at the component's innermost voxel rather than a random one:
    people click centres."""
    largest_only_share: float = Field(0.0, ge=0, le=1)
    """Share of samples whose later rounds click the largest error component alone, one click a
    round, whatever its size: the way an annotator, and the evaluation, proceeds."""


class RelabellingConfig(Section):
    """Regions that change sides in the ground truth; see :mod:`train.relabelling`.

    Not in the paper.
    """

    share: Share = 0.0
    """Share of samples with relabelled regions, among those with more than one round. The answer
    without a click (``loss.first_mask_weight``) always learns the true lesion."""
    regions: CountRange = (1, 2)
    """Fewest and most regions."""
    radius_mm: ExtentRange = (10.0, 35.0)
    """Smallest and largest extent of a region from the voxel that it starts at."""
    contrast: ExtentRange = (0.4, 1.5)
    """How far, in normalised intensities, a region that looks alike may differ from that voxel."""
    rim_mm: ExtentRange = (3.0, 10.0)
    """How far a stretch of rim moves."""
    outline_share: Share = 0.0
    """Share of relabelled samples whose whole outline is drawn anew instead."""
    outline_mm: ExtentRange = (2.0, 8.0)
    """How far such an outline typically lies from the true one."""


class OtherObjectsConfig(Section):
    """Samples in which something else than the lesion is outlined; see :mod:`train.other_objects`.

    Not in the paper.
    """

    share: Share = 0.0
    """Share of such samples, among those with more than one round. The network then learns that a
    click may mean anything, not only the kind of lesion that the data show. What is learned of the
    answer without a click (``loss.first_mask``) is the same."""
    shapes_share: Share = 0.0
    """Share of these samples that show no scan but random regions of random brightness, one of
    which is outlined; see :mod:`train.random_shapes`."""
    implanted_share: Share = 0.6
    """Share of the other objects that are set into the scan; the rest are parts of it."""
    radius_mm: ExtentRange = (5.0, 40.0)
    """Smallest and largest radius."""
    contrast: ExtentRange = (0.5, 3.0)
    """By how much an object that is set in is brighter or darker than what it lies in, in
    normalised intensities."""


class LossConfig(Section):
    """Eqs. 8, 11 and 12."""

    kind: Literal["focus_guided", "dice", "focal"] = "focus_guided"
    """``focus_guided`` is the paper's; the others are those of its Fig. 5."""
    focus_lambda: float = Field(2.0, ge=0)
    """λ of eq. 8: how fast the weight falls with the distance to a click."""
    mu: tuple[Share, Share] = (0.3, 0.6)
    """μ of eq. 11 at the first and the last epoch of CAISeg training."""
    nu: float = Field(0.5, ge=0, le=1)
    """ν of eq. 12."""
    deep_supervision: bool = True
    """Whether the coarse prediction takes part in the loss (Table IV); off means ν = 1."""
    click_weight: float = Field(0.0, ge=0)
    """Weight of the binary cross entropy of ``Ŷ`` at the clicked voxels alone, added to eq. 12; 0
    in the paper. Among millions of voxels a dozen clicked ones count for nothing in eq. 8, yet a
    click whose own voxel does not follow is what an annotator forgives least."""
    first_mask: Literal["lesion", "empty"] = "lesion"
    """What the answer without any click is to be. A network that outlines whatever is clicked
    cannot know beforehand; ``empty`` teaches it to wait."""
    first_mask_weight: float = Field(0.0, ge=0)
    """Weight of eq. 12 for the answer without any click, added to that of the last round; 0 in the
    paper. The last stage runs once more and the backbone does not, which is cheaper than steps that
    end without a click, and the first mask is what everyone sees first."""


class ScheduleConfig(Section):
    """How long and how fast to learn (section IV-B3)."""

    pretrain_epochs: int = Field(200, ge=0)
    """Epochs of VNet alone."""
    epochs: int = Field(200, ge=0)
    """Epochs of CAISeg, after the pre-training."""
    frozen_epochs: int = Field(0, ge=0)
    """How many of ``epochs``, the first ones, leave the features of the backbone as they are, so
    that what was not pre-trained finds its place before it can spoil them (Kumar et al. 2022). Such
    an epoch costs less; methods whose clicks enter the backbone have none."""
    samples_per_case: int = Field(1, ge=1)
    """Random crops taken from every case in an epoch."""
    batch_size: int = Field(2, ge=1)
    """Scans per step, shared equally by the processes of a parallel run."""
    accumulate: int = Field(1, ge=1)
    """Parts of equal size in which a process computes its share of the batch, one after the other,
    where memory does not hold it whole. The step stays the same; only ``loss.click_weight``, a
    mean over clicks rather than samples, then weighs the clicks of a part alike."""
    learning_rate: float = Field(1e-3, gt=0, le=10)
    """Adam's initial learning rate."""
    weight_decay: float = Field(1e-4, ge=0)
    """L2 regularisation, added to the gradient as Adam's ``weight_decay`` does."""
    decay: Literal["step", "cosine"] = "step"
    """``step`` halves the rate every ``decay_epochs``; ``cosine`` lowers it to 0 over both
    phases, which suits short trainings."""
    decay_epochs: int = Field(50, ge=1)
    """Epochs between two steps of the step decay."""
    warmup_steps: int = Field(0, ge=0)
    """Steps over which the rate rises from 0 at the start of each phase."""
    gradient_clip: float | None = Field(None, gt=0)
    """Largest gradient norm; larger gradients are scaled down to it."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Decay per step of the exponential moving average of the weights; the average is what is
    validated and exported."""
    validate_every: int = Field(10, ge=1)
    """Epochs between two validations."""
    precision: Annotated[Literal["32", "bf16"], BeforeValidator(str)] = "32"
    """``bf16`` runs convolutions and products in bfloat16, where the hardware has instructions for
    it: a third of the time on CPUs with AVX-512 BF16, and faster on recent GPUs."""

    @model_validator(mode="after")
    def _something_is_learned(self) -> ScheduleConfig:
        if self.pretrain_epochs + self.epochs == 0:
            raise ValueError("pretrain_epochs and epochs are both 0, so that nothing is learned")
        if self.frozen_epochs > self.epochs:
            raise ValueError(
                f"frozen_epochs is {self.frozen_epochs}, and epochs, of which they are the first, "
                f"is {self.epochs}"
            )
        return self


class DataConfig(Section):
    """What is read, and what a training sample is."""

    label_values: Annotated[tuple[LabelValue, ...], Field(min_length=1)] | None = None
    """Mask values that count as lesion; all above 0 when left out."""
    channel: NonNegativeInt | None = None
    """Which sequence is read, counted from 0, where a case has several: a volume of a 4-D scan, or
    a file of an nnU-Net case. A manifest's own ``channel`` column goes before it."""
    split_proportions: tuple[Share, Share, Share] = (0.70, 0.15, 0.15)
    """Shares of patients for ``train``, ``val`` and ``test`` (section IV-A)."""
    scan_size: tuple[ScanSize, ScanSize, ScanSize] | None = None
    """Size ``(i, j, k)`` in model voxels that training scans are cropped or padded to around their
    centre, before augmentation and crops; left as they are when left out."""
    crop_size: tuple[CropSize, CropSize, CropSize]
    """Training crop ``(i, j, k)`` in model voxels."""
    lesion_centred_share: float = Field(0.7, ge=0, le=1)
    """Share of crops that contain a random lesion voxel; the others lie anywhere in the body."""

    @field_validator("split_proportions")
    @classmethod
    def _shares_add_up(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(shares) - 1) > 1e-6 or shares[0] == 0:
            raise ValueError("the shares of train, val and test must add up to 1, train above 0")
        return shares

    @model_validator(mode="after")
    def _crop_lies_in_the_scan(self) -> DataConfig:
        sizes = zip(self.crop_size, self.scan_size or self.crop_size, strict=True)
        if any(crop > scan for crop, scan in sizes):
            raise ValueError(f"crop_size {self.crop_size} is larger than scan_size")
        return self


class SyntheticConfig(Section):
    """Training on generated scans, without a manifest; see :mod:`train.generated`."""

    cases: PositiveInt = 200
    """Scans of an epoch; no epoch repeats one."""
    val_cases: PositiveInt = 8
    """Scans to validate on, the same at every validation."""
    scan: SyntheticScanConfig = SyntheticScanConfig()
    """What scans and lesions look like, and where shapes of lesions come from."""


class ExperimentConfig(Section):
    """One experiment: what ``python -m train fit`` runs."""

    name: str
    """Name of the checkpoint that comes out."""
    description: str
    """One sentence for the model card."""
    anatomy: str
    """What part of the body the scans show, for the model card."""
    lesion: str
    """What is outlined, for the model card."""
    data_licence: str = "not stated"
    """Licence of the training data, which the weights inherit."""
    seed: int = Field(0, ge=0, lt=2**31)
    method: Literal["caiseg", "vnet", "ritm3d", "dins3d", "mideepseg"] = "caiseg"
    """Which network is trained: CAISeg, or a baseline with the same VNet to compare it with."""
    network: NetworkConfig
    preprocessing: PreprocessingConfig
    guided_filter: GuidedFilterConfig | None = None
    """How masks of the checkpoint follow a scan's edges. Training does not see it; it is worth
    having where lesions have edges that the voxels of the network blur."""
    click_reach_mm: float | None = Field(None, gt=0, le=1000, allow_inf_nan=False)
    """How far from itself a click of the checkpoint acts, along every axis; half a patch's size
    when left out. Training does not see it. The nearer, the faster a click, and the more of them a
    large correction takes."""
    clicked_pieces: bool = False
    """Whether clicks of the checkpoint bring in only pieces that somebody asked for: those that
    hold a foreground click or touch the mask before. Training does not see it; it is for networks
    that outline whatever is clicked, and also a little of what looks alike."""
    local_changes: bool = False
    """Whether a click of the checkpoint changes the mask only near itself, the farther the deeper
    it lies in what is wrong; see :mod:`caiseg.local_changes`. Training does not see it."""
    data: DataConfig
    augmentation: AugmentationConfig = AugmentationConfig()
    clicks: ClickConfig = ClickConfig()
    other_objects: OtherObjectsConfig = OtherObjectsConfig()
    relabelling: RelabellingConfig = RelabellingConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    synthetic: SyntheticConfig | None = None
    """Where set, scans are generated and no manifest is read."""

    @model_validator(mode="after")
    def _patches_fit_into_memory(self) -> ExperimentConfig:
        # Otherwise the checkpoint that comes of it would be refused.
        self.network.check_patch(self.preprocessing.patch_size)
        return self

    @model_validator(mode="after")
    def _skulls_are_stripped_from_mr_scans(self) -> ExperimentConfig:
        if self.augmentation.skull_strip > 0 and self.preprocessing.modality != "MR":
            raise ValueError(
                "augmentation.skull_strip: is for MR scans of heads; set it to 0 for CT"
            )
        return self

    @model_validator(mode="after")
    def _contrast_varies_where_scanners_do(self) -> ExperimentConfig:
        if self.augmentation.contrast > 0 and self.preprocessing.modality == "CT":
            raise ValueError(
                "augmentation.contrast: Hounsfield units mean the same everywhere; set it to 0 "
                "for CT"
            )
        return self

    @model_validator(mode="after")
    def _strides_divide_the_crop(self) -> ExperimentConfig:
        for size, stride in zip(self.data.crop_size, self.network.total_stride, strict=True):
            if size % stride:
                raise ValueError(
                    f"data.crop_size: {size} is not a multiple of the network's total stride, "
                    f"{stride}"
                )
        if self.data.crop_size == self.network.total_stride:
            raise ValueError(
                f"data.crop_size: {self.data.crop_size} leaves one voxel at the network's coarsest "
                "scale; make the crop larger"
            )
        return self


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read a config by the name of a built-in one or by path.

    A ``network`` section may name a ``preset`` (``paper`` or ``compact``) and ``thick_slices``;
    its other keys then replace the preset's.

    Args:
        name_or_path: ``brain_flair``, say, or the path of a YAML file.
        overrides: ``section.key=value`` items; values are read as YAML.

    Raises:
        InvalidInput: The file is missing or a key is wrong; the sentence names the key.
    """
    document = read_document(name_or_path, overrides)
    try:
        return ExperimentConfig.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = "".join(f"{part}." for part in first["loc"])[:-1]
        cause = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"Config {name_or_path}: {f'{key}: ' if key else ''}{cause}.") from error
