"""What the paper says of its four trainings; where it is silent, what was chosen for it."""

from __future__ import annotations

from typing import Any, NamedTuple

from caiseg.network_config import ISOTROPIC, THICK_SLICES
from train.config import ExperimentConfig


class Value(NamedTuple):
    """A value of the paper, in this project's axis order ``(i, j, k)``, and where it stands."""

    key: str
    brain: Any
    colon: Any
    lung: Any
    pancreas: Any
    place: str


def everywhere(key: str, value: Any, place: str) -> Value:
    return Value(key, value, value, value, value, place)


FULL, PATCH = (128, 128, 96), (128, 128, 48)
TABLE = [
    # What is read.
    Value("preprocessing.modality", "MR", "CT", "CT", "CT", "IV-A: Flair; CT image"),
    Value("data.channel", 0, None, None, None, "IV-A: we selectively employ the Flair sequence"),
    Value("data.label_values", None, (1,), (1,), (2,), "IV-A: entire brain tumor region; cancer"),
    Value(
        "data.split_proportions",
        (0.70, 0.15, 0.15), (0.70, 0.15, 0.15), (0.60, 0.20, 0.20), (0.70, 0.15, 0.15),
        "IV-A: 70, 15 and 15 %; lung 60, 20 and 20 %",
    ),
    Value(
        "preprocessing.spacing",
        (1.5, 1.5, 1.5), (0.78, 0.78, 5.00), (0.79, 0.79, 1.24), (0.80, 0.80, 2.50),
        "IV-A: voxel spacings underwent a resampling, D x H x W",
    ),
    Value(
        "data.scan_size", FULL, (512, 512, 80), (512, 512, 256), (512, 512, 96),
        "IV-A: cropped from the scan's center; cropped or padded",
    ),
    Value(
        "data.crop_size", FULL, PATCH, (128, 128, 64), PATCH,
        "IV-B3: preprocessed images directly for brain; patch sizes",
    ),
    Value("preprocessing.patch_size", FULL, PATCH, (128, 128, 64), PATCH, "IV-B3: inference"),
    # Augmentation.
    everywhere("augmentation.p", 0.5, "IV-A: 50 %, four times"),
    everywhere("augmentation.flip_axes", (0, 1, 2), "IV-A: random flips"),
    everywhere("augmentation.scales", (0.9, 1.1), "IV-A: scaling between 0.9 and 1.1"),
    everywhere("augmentation.degrees", 10, "IV-A: within +-10 degrees"),
    Value("augmentation.bias_field", True, False, False, False, "IV-A: MRI-specific artifacts"),
    everywhere("augmentation.noise_std", 0.1, "IV-A: Gaussian noise, of no stated size"),
    everywhere("augmentation.gamma", 0, "IV-A: not among the augmentations"),
    everywhere("augmentation.contrast", 0, "IV-A: not among the augmentations"),
    everywhere("augmentation.blur_mm", 0, "IV-A: not among the augmentations"),
    everywhere("augmentation.low_resolution", 1, "IV-A: not among the augmentations"),
    # Network.
    Value(
        "network.strides", ISOTROPIC, THICK_SLICES, THICK_SLICES, THICK_SLICES,
        "IV-B1: feature map of D/2 or D, x H/2 x W/2",
    ),
    everywhere("network.base_channels", 16, "IV-B1: VNet [16]"),
    everywhere("network.kernel_size", 5, "IV-B1: VNet [16]"),
    everywhere("network.attention_heads", (16, 16, 8, 4), "IV-B1: strides of 16, 8, 4, and 2"),
    everywhere("network.drop_path", 0.2, "IV-B3: regularization probability"),
    everywhere("network.similarity", "gaussian", "eq. 5, Table III no. 4"),
    everywhere("network.position", "minmax", "eq. 4: min-max normalization"),
    everywhere("network.alpha", (1.0,), "eq. 4: a learnable parameter"),
    everywhere("network.query_scale", 1, "IV-B1: He initialization of all parameters"),
    everywhere("network.affinity_heads", 4, "eq. 5: several heads, of no stated number"),
    everywhere("network.exclusive", False, "eq. 3: both adjustments are added"),
    everywhere("network.norm", "instance", "IV-B1: not mentioned; batches of 2 are few"),
    everywhere("guided_filter", None, "III: not mentioned"),
    everywhere("local_changes", False, "eq. 3: wherever something resembles a click"),
    everywhere("clicked_pieces", False, "eq. 3: whatever resembles a click may follow it"),
    everywhere("click_reach_mm", None, "eq. 5: every voxel has an affinity to every click"),
    # Clicks.
    everywhere("clicks.rounds", (3, 3), "IV-B2: n = 3"),
    everywhere("clicks.foreground", (1, 10), "IV-B2: between 1 to 10 points"),
    everywhere("clicks.background", (0, 20), "IV-B2: 0 to 20 points"),
    everywhere("clicks.erosion_mm", 3, "III-F: eroded lesion, by no stated depth"),
    everywhere("clicks.band_mm", 20, "III-F: around the lesion, of no stated width"),
    everywhere("clicks.component_share", 0.1, "IV-B2: 10 % of the lesion volume"),
    everywhere("clicks.zero_click_share", 0, "IV-B2: the first round always has points"),
    everywhere("clicks.centre_share", 0, "III-F: a point is sampled from each region"),
    everywhere("clicks.largest_only_share", 0, "III-F: each of these selected regions"),
    everywhere("relabelling.share", 0, "III-F: clicks follow the ground truth"),
    everywhere("other_objects.share", 0, "III-F: clicks follow the ground truth"),
    # Loss.
    everywhere("loss.kind", "focus_guided", "eqs. 8 and 11"),
    everywhere("loss.focus_lambda", 2, "IV-B3: lambda in (8)"),
    everywhere("loss.mu", (0.3, 0.6), "IV-B3: mu in (11), from 0.3 to 0.6"),
    everywhere("loss.nu", 0.5, "IV-B3: nu in (12)"),
    everywhere("loss.deep_supervision", True, "eq. 12, Table IV"),
    everywhere("loss.click_weight", 0, "eq. 12: not among the losses"),
    everywhere("loss.first_mask", "lesion", "III-F: VNet alone outlines the lesion"),
    everywhere("loss.first_mask_weight", 0, "eq. 12: not among the losses"),
    # Schedule.
    everywhere("schedule.pretrain_epochs", 200, "IV-B3: pre-trained for 200 epochs"),
    everywhere("schedule.epochs", 200, "IV-B3: another 200 epochs"),
    everywhere("schedule.batch_size", 2, "IV-B3: consistently set to 2"),
    everywhere("schedule.learning_rate", 1e-3, "IV-B3: initial learning rate of 0.001"),
    everywhere("schedule.weight_decay", 1e-4, "IV-B3: L2 regularization of 0.0001"),
    everywhere("schedule.decay", "step", "IV-B3: step decay strategy"),
    everywhere("schedule.decay_epochs", 50, "IV-B3: step decay, of no stated length"),
    everywhere("schedule.samples_per_case", 1, "IV-B3: an epoch sees every scan once"),
    everywhere("schedule.warmup_steps", 0, "IV-B3: initial learning rate"),
    everywhere("schedule.gradient_clip", None, "IV-B3: not mentioned"),
    everywhere("schedule.ema_decay", None, "IV-B3: not mentioned"),
    everywhere("schedule.precision", "32", "IV-B3: not mentioned"),
]  # fmt: skip


def value_of(config: ExperimentConfig, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
