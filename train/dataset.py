"""Training samples: cached preprocessed scans, random augmentation (TorchIO), random crops."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torchio as tio
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from caiseg.errors import InvalidInput
from caiseg.grids import model_grid, resample_to_model
from caiseg.preprocessing import PreprocessingConfig, normalise_intensities
from caiseg.volume import Volume
from train.config import AugmentationConfig, DataConfig, ExperimentConfig
from train.files import replacing
from train.manifest import Case

CACHE_FORMAT = 1
"""Goes up when preparation or the files of the cache change."""


@dataclass(frozen=True)
class PreparedCase:
    """A case on the model grid.

    Attributes:
        name: Name of the case.
        image: Intensities before normalisation, shifted to start at 0 and scaled to unit standard
            deviation, ``(I, J, K)`` float32.
        lesion: ``(I, J, K)`` bool.
        spacing: Voxel size ``(3,)`` in mm, close to the config's.
        scan_hash: Hexadecimal SHA-256 of the scan's voxels and geometry.
        notices: Reservations under which the scan was accepted.
    """

    name: str
    image: Tensor
    lesion: Tensor
    spacing: Tensor
    scan_hash: str = ""
    notices: tuple[str, ...] = ()


def prepare_case(
    case: Case, preprocessing: PreprocessingConfig, data: DataConfig, cache: Path
) -> PreparedCase:
    """Resample a case to the model grid, or read the result of an earlier call.

    The cache's key covers the settings and both files' sizes and times, so a changed file or
    config is prepared again.

    Raises:
        InvalidInput: The case cannot be read, its scan has no contrast, or its mask no lesion.
        CannotWrite: The cache cannot be written.
    """
    path = cache / f"{_cache_key(case, preprocessing, data)}.safetensors"
    if path.is_file():
        # A damaged file is no more than a missing one.
        with suppress(SafetensorError):
            return _read_prepared(case.name, path)
    volume, lesion = case.load(data.label_values, data.channel)
    _check_usable(case, volume, lesion, data)
    grid = model_grid(volume.grid, preprocessing.spacing)
    image = resample_to_model(volume.data, volume.grid, grid)
    if preprocessing.modality == "CT":
        low, high = np.percentile(image.numpy(), (0.5, 99.5))
        image = image.clamp(float(low), float(high))
    image = (image - image.min()) / image.std().clamp(min=1e-6)
    share = resample_to_model(lesion.astype(np.float32), volume.grid, grid)
    if float(share.max()) < 0.5:
        raise InvalidInput(
            f"Case {case.name}: the lesion in {case.mask} fills no voxel of "
            f"{' × '.join(f'{step:g}' for step in grid.spacing)} mm; train at a finer spacing or "
            "leave the case out."
        )
    prepared = PreparedCase(
        case.name, image.contiguous(), (share >= 0.5).contiguous(),
        torch.tensor(grid.spacing).float(), volume.content_hash, tuple(volume.notices),
    )  # fmt: skip
    _write_prepared(prepared, path)
    return prepared


def augmentation(config: AugmentationConfig, modality: str) -> tio.Compose:
    """The random changes of section IV-A, each with its own probability."""
    transforms: list[tio.Transform] = [
        tio.RandomAffine(scales=config.scales, degrees=config.degrees, isotropic=True, p=config.p),
        tio.RandomFlip(axes=config.flip_axes, flip_probability=0.5, p=config.p),
        tio.RandomNoise(std=(0, config.noise_std), p=config.p),
    ]
    if config.gamma > 0:
        transforms.append(tio.RandomGamma((-config.gamma, config.gamma), p=config.p))
    if config.bias_field and modality == "MR":
        transforms.append(tio.RandomBiasField(coefficients=0.3, p=config.p))
    return tio.Compose(transforms)


@dataclass(frozen=True)
class SampleKey:
    """Which sample of a training: everything random about it follows from these numbers."""

    epoch: int
    case: int
    repeat: int


class TrainingSamples(Dataset[dict[str, Tensor]]):
    """Random augmented crops; the same key always gives the same sample.

    A sample holds ``image`` ``(1, I, J, K)`` (normalised), ``lesion`` ``(1, I, J, K)`` (0 or 1),
    ``spacing`` ``(3,)`` in mm and ``key`` ``(3,)``.

    Args:
        cases: Prepared cases.
        config: The experiment.
    """

    def __init__(self, cases: Sequence[PreparedCase], config: ExperimentConfig):
        self.cases = cases
        self.config = config
        changes = augmentation(config.augmentation, config.preprocessing.modality)
        size = config.data.scan_size
        # A prepared image is 0 where it is darkest, which is what TorchIO pads with.
        self.augment = changes if size is None else tio.Compose([tio.CropOrPad(size), changes])

    def __len__(self) -> int:
        return len(self.cases) * self.config.schedule.samples_per_case

    def __getitem__(self, key: SampleKey) -> dict[str, Tensor]:
        case = self.cases[key.case]
        numbers = (self.config.seed, key.epoch, key.case, key.repeat)
        rng = np.random.default_rng(numbers)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            subject = self.augment(
                tio.Subject(
                    image=tio.ScalarImage(tensor=case.image[None]),
                    lesion=tio.LabelMap(tensor=case.lesion[None].to(torch.uint8)),
                )
            )
            image = normalise_intensities(subject.image.data[0], self.config.preprocessing.modality)
        lesion = subject.lesion.data[0] > 0
        image, lesion = random_crop(image, lesion, self.config.data, rng)
        return {
            "image": image[None],
            "lesion": lesion[None].float(),
            "spacing": case.spacing,
            "key": torch.tensor(numbers[1:]),
        }


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


def random_crop(
    image: Tensor, lesion: Tensor, config: DataConfig, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a crop that contains a random lesion voxel or lies anywhere in the body.

    Scans smaller than the crop are padded with their darkest value.

    Args:
        image: ``(I, J, K)``.
        lesion: ``(I, J, K)`` bool.
        config: Crop size and the share of crops with a lesion voxel.
        rng: Source of the choice.
    """
    wanted = rng.random() < config.lesion_centred_share and bool(lesion.any())
    region = lesion if wanted else image > image.mean()
    places = torch.nonzero(region if bool(region.any()) else torch.ones_like(region))
    anchor = places[int(rng.integers(len(places)))].tolist()
    parts, padding = [], []
    for place, size, crop in zip(anchor, image.shape, config.crop_size, strict=True):
        low, high = max(0, place - crop + 1), min(place, size - crop)
        start = int(rng.integers(low, high + 1)) if high >= low else 0
        parts.append(slice(start, start + crop))
        missing = max(0, crop - size)
        padding.append((missing // 2, missing - missing // 2))
    flat = [amount for pair in reversed(padding) for amount in pair]
    darkest = float(image.min())
    return (
        torch.nn.functional.pad(image[tuple(parts)], flat, value=darkest),
        torch.nn.functional.pad(lesion[tuple(parts)], flat, value=False),
    )


def _check_usable(
    case: Case, volume: Volume, lesion: npt.NDArray[np.bool_], data: DataConfig
) -> None:
    if volume.data.min() == volume.data.max():
        raise InvalidInput(
            f"Case {case.name}: every voxel of {case.image} has the same value, "
            f"{volume.data.flat[0]:g}; export it again."
        )
    if not lesion.any():
        values = ", ".join(str(value) for value in data.label_values or ())
        asked = f"of the data.label_values {values}" if values else "above 0"
        raise InvalidInput(f"Case {case.name}: the mask {case.mask} has no voxel {asked}.")


def _read_prepared(name: str, path: Path) -> PreparedCase:
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
        return PreparedCase(
            name, file.get_tensor("image"), file.get_tensor("lesion"), file.get_tensor("spacing"),
            facts["scan_hash"], tuple(json.loads(facts["notices"])),
        )  # fmt: skip


def _write_prepared(prepared: PreparedCase, path: Path) -> None:
    tensors = {
        "image": prepared.image, "lesion": prepared.lesion, "spacing": prepared.spacing,
    }  # fmt: skip
    facts = {"scan_hash": prepared.scan_hash, "notices": json.dumps(prepared.notices)}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata=facts)


def _cache_key(case: Case, preprocessing: PreprocessingConfig, data: DataConfig) -> str:
    files = [(str(path.resolve()), *_stamp(path)) for path in (case.image, case.mask)]
    settings = preprocessing.model_dump(include={"modality", "spacing"})
    chosen = [data.label_values, case.volume_index(data.channel)]
    document = json.dumps([CACHE_FORMAT, files, settings, chosen], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:24]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    return status.st_size, status.st_mtime_ns
