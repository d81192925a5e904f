"""Training samples: cached preprocessed scans, random augmentation (TorchIO), random crops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torchio as tio
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from caiseg.preprocessing import normalise_intensities
from train.config import AugmentationConfig, ExperimentConfig
from train.contrast import with_another_contrast
from train.crops import Window, choose_crop, cut, middle, random_crop, with_margin
from train.other_objects import with_another_object
from train.prepared import PreparedCase
from train.random_shapes import random_shapes
from train.scan_facts import ScanFacts
from train.skull_strip import brain_mask


def augmentation(config: AugmentationConfig, modality: str) -> tio.Compose:
    """The random changes of section IV-A, each with its own probability."""
    transforms: list[tio.Transform] = [
        tio.RandomAffine(scales=config.scales, degrees=config.degrees, isotropic=True, p=config.p),
        tio.RandomFlip(axes=config.flip_axes, flip_probability=0.5, p=config.p),
        tio.RandomNoise(std=(0, config.noise_std), p=config.p),
    ]
    if config.gamma > 0:
        transforms.append(tio.RandomGamma((-config.gamma, config.gamma), p=config.p))
    if config.blur_mm > 0:
        transforms.append(tio.RandomBlur((0, config.blur_mm), p=config.p))
    if config.low_resolution > 1:
        coarser = (1.0, config.low_resolution)
        transforms.append(tio.RandomAnisotropy(downsampling=coarser, p=config.p))
    if config.bias_field and modality != "CT":
        transforms.append(tio.RandomBiasField(coefficients=0.3, p=config.p))
    return tio.Compose(transforms)


@dataclass(frozen=True)
class SampleKey:
    """Which sample of a training: everything random about it follows from these numbers."""

    epoch: int
    case: int
    repeat: int


class CaseSource(Protocol):
    """Where samples come from."""

    def __len__(self) -> int:
        """Cases of an epoch."""

    def draw(self, key: SampleKey) -> PreparedCase:
        """The case of a sample; the same key always gives the same one."""


class StoredCases(list[PreparedCase]):
    """Cases that are the same in every epoch."""

    def draw(self, key: SampleKey) -> PreparedCase:
        """The case that the key counts."""
        return self[key.case]


class TrainingSamples(Dataset[dict[str, Tensor]]):
    """Random augmented crops; the same key always gives the same sample.

    A sample holds ``image`` ``(1, I, J, K)`` (normalised), ``lesion`` and ``target`` of the same
    shape (0 or 1), ``spacing`` ``(3,)`` in mm and ``key`` ``(3,)``. The target is what clicks are
    to outline: the lesion, or another object in its place.

    An MR scan is changed whole, then normalised as the app normalises it, then cropped. CT
    intensities mean the same everywhere and have a fixed scale, so that only the block around the
    crop needs to be read and changed, a small part of a body of 512 x 512 voxels a slice.

    Args:
        cases: Where samples come from.
        config: The experiment.
    """

    def __init__(self, cases: CaseSource, config: ExperimentConfig):
        self.cases = cases
        self.config = config
        self.augment = augmentation(config.augmentation, config.preprocessing.modality)

    def __len__(self) -> int:
        return len(self.cases) * self.config.schedule.samples_per_case

    def __getitem__(self, key: SampleKey) -> dict[str, Tensor]:
        case = self.cases.draw(key)
        numbers = (self.config.seed, key.epoch, key.case, key.repeat)
        rng = np.random.default_rng(numbers)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            if self.config.preprocessing.modality == "CT":
                image, lesion = self._changed_block(case, rng)
            else:
                image, lesion = self._changed_whole(case, rng)
            target = lesion
            if rng.random() < self.config.other_objects.share:
                image, lesion, target = self._with_another_object(
                    image, lesion, case.spacing.tolist(), rng
                )
        return {
            "image": image[None],
            "lesion": lesion[None].float(),
            "target": target[None].float(),
            "spacing": case.spacing,
            "key": torch.tensor(numbers[1:]),
        }

    def _with_another_object(
        self, image: Tensor, lesion: Tensor, spacing: list[float], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        config = self.config.other_objects
        if config.shapes_share > 0 and rng.random() < config.shapes_share:
            i, j, k = image.shape
            shapes, target = random_shapes((i, j, k), (spacing[0], spacing[1], spacing[2]), rng)
            modality = self.config.preprocessing.modality
            image = normalise_intensities(torch.from_numpy(shapes), modality)
            return image, torch.zeros_like(lesion), torch.from_numpy(target)
        return with_another_object(image, lesion, spacing, config, rng)

    def _changed_whole(self, case: PreparedCase, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        data = self.config.data
        i, j, k = (slice(0, size) for size in case.image.shape)
        if data.scan_size is not None:
            i, j, k = middle((i, j, k), data.scan_size)
        stripped = self.config.augmentation.skull_strip
        if stripped > 0 and rng.random() < stripped:
            case = _skull_stripped(case)
        image, lesion = self._changed(case, (i, j, k))
        other = self.config.augmentation.contrast
        if other > 0 and rng.random() < other:
            image = with_another_contrast(image, rng)
        image = normalise_intensities(image, self.config.preprocessing.modality)
        return random_crop(image, lesion, data, rng)

    def _changed_block(self, case: PreparedCase, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        data, limits = self.config.data, self.config.augmentation
        facts = case.facts or ScanFacts.of(case.image, case.lesion, data)
        window = choose_crop(case.image, facts.crops, data, rng)
        margin = with_margin(window, case.spacing.tolist(), limits.degrees, limits.scales[0])
        image, lesion = self._changed(case, margin)
        # The percentiles that CT is clipped to were taken when the case was prepared.
        image = (image - facts.mean) / facts.sd.clamp(min=1e-6)
        centre = middle(margin, data.crop_size)
        if not lesion[centre].any() and cut(case.lesion, window, False).any():
            # The lesion was turned out of the crop that was chosen to contain it.
            found = {"scan_size": None, "lesion_centred_share": 1.0}
            return random_crop(image, lesion, data.model_copy(update=found), rng)
        return image[centre], lesion[centre]

    def _changed(self, case: PreparedCase, window: Window) -> tuple[Tensor, Tensor]:
        """Augment a window of a case; a prepared image is 0 where it is darkest."""
        affine = np.diag([*case.spacing.tolist(), 1.0])
        subject = self.augment(
            tio.Subject(
                image=tio.ScalarImage(tensor=cut(case.image, window, 0.0)[None], affine=affine),
                lesion=tio.LabelMap(
                    tensor=cut(case.lesion, window, False)[None].to(torch.uint8), affine=affine
                ),
            )
        )
        return subject.image.data[0], subject.lesion.data[0] > 0


def _skull_stripped(case: PreparedCase) -> PreparedCase:
    """The same without skull and scalp, where a brain is found; a lesion stays whole."""
    brain = torch.from_numpy(brain_mask(case.image.numpy(), case.spacing.tolist()))
    if not brain.any():
        return case
    return replace(case, image=torch.where(brain | case.lesion, case.image, 0.0))


class EpochSampler(Sampler[SampleKey]):
    """The keys of one epoch in a seeded random order, from a given place on.

    Several processes take turns, so that together they see the batches of a single process; the
    first keys come again where the epoch cannot be shared equally.

    Args:
        cases: Number of cases.
        config: The experiment: seed and samples per case.
        epoch: Which epoch.
        start: Samples of the epoch that are already done, on all processes together.
        rank: Number of this process.
        processes: How many there are.
    """

    def __init__(
        self,
        cases: int,
        config: ExperimentConfig,
        epoch: int,
        start: int = 0,
        *,
        rank: int = 0,
        processes: int = 1,
    ):
        repeats = config.schedule.samples_per_case
        keys = [SampleKey(epoch, case, n) for case in range(cases) for n in range(repeats)]
        order = np.random.default_rng((config.seed, epoch)).permutation(len(keys))
        keys = [keys[place] for place in order]
        keys += itertools.islice(itertools.cycle(keys), -len(keys) % processes)
        self.keys = keys[start + rank :: processes]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[SampleKey]:
        return iter(self.keys)
