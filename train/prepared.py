"""Cases on the model grid: resampled once, kept in a cache."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from caiseg.errors import InvalidInput
from caiseg.grids import Grid, Spacing, model_grid
from caiseg.preprocessing import PreprocessingConfig, windowed
from caiseg.resampling import resample_to_model
from caiseg.volume import Volume
from train.config import DataConfig
from train.crops import CropFacts
from train.evaluation.modality import check_modality
from train.files import replacing
from train.manifest import Case
from train.scan_facts import ScanFacts, as_a_worker_computes

CACHE_FORMAT = 3
"""Goes up when preparation or the files of the cache change."""
TENSORS = ("image", "lesion", "spacing", "mean", "sd", "crop mean", "crop lesion")


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
        facts: What samples ask of the whole scan; ``None`` where nobody has looked yet.
    """

    name: str
    image: Tensor
    lesion: Tensor
    spacing: Tensor
    scan_hash: str = ""
    notices: tuple[str, ...] = ()
    facts: ScanFacts | None = None


def prepare_case(
    case: Case, preprocessing: PreprocessingConfig, data: DataConfig, cache: Path
) -> PreparedCase:
    """Resample a case to the model grid, or read the result of an earlier call.

    The cache's key covers the settings and both files' sizes and times, so a changed file or
    config is prepared again.

    Raises:
        InvalidInput: The case cannot be read, its scan has no contrast or another modality than
            the config's, or its mask no lesion.
        CannotWrite: The cache cannot be written.
    """
    path = cache / f"{_cache_key(case, preprocessing, data)}.safetensors"
    if path.is_file():
        # A damaged file is no more than a missing one.
        with suppress(SafetensorError):
            return _read_prepared(case.name, path)
    volume, lesion = case.load(data.label_values, data.channel)
    check_modality(
        case, volume, preprocessing.modality, asked_by="the config is", instead="train a config"
    )
    _check_usable(case, volume, lesion, data)
    image, share, spacing = on_model_grid(volume.data, lesion, volume.grid, preprocessing)
    if float(share.max()) < 0.5:
        raise InvalidInput(
            f"Case {case.name}: the lesion in {case.mask} fills no voxel of "
            f"{' × '.join(f'{step:g}' for step in spacing)} mm; train at a finer spacing or "
            "leave the case out."
        )
    inside = (share >= 0.5).contiguous()
    with as_a_worker_computes():
        facts = ScanFacts.of(image, inside, data)
    prepared = PreparedCase(
        case.name, image, inside, torch.tensor(spacing).float(), volume.content_hash,
        tuple(volume.notices), facts,
    )  # fmt: skip
    _write_prepared(prepared, path)
    # What is read back lies in the system's file cache, which many processes share.
    return _read_prepared(case.name, path)


def on_model_grid(
    data: npt.NDArray[np.generic],
    lesion: npt.NDArray[np.bool_],
    grid: Grid,
    preprocessing: PreprocessingConfig,
) -> tuple[Tensor, Tensor, Spacing]:
    """Resample a scan and its lesion to the model grid.

    Args:
        data: Intensities ``(I, J, K)``, finite.
        lesion: ``(I, J, K)``.
        grid: Where both lie.
        preprocessing: Spacing and modality.

    Returns:
        Intensities as :class:`PreparedCase` holds them, the share of lesion in every voxel, both
        float32 on the model grid, and that grid's spacing in mm.
    """
    model = model_grid(grid, preprocessing.spacing)
    image = windowed(resample_to_model(data, grid, model), preprocessing.modality)
    if preprocessing.modality == "CT":
        low, high = np.percentile(image.numpy(), (0.5, 99.5))
        image = image.clamp(float(low), float(high))
    image = (image - image.min()) / image.std().clamp(min=1e-6)
    share = resample_to_model(lesion.astype(np.float32), grid, model)
    return image.contiguous(), share, model.spacing


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
        described = file.metadata()
        image, lesion, spacing, mean, sd, crop_mean, crop_lesion = map(file.get_tensor, TENSORS)
    return PreparedCase(
        name, image, lesion, spacing, described["scan_hash"],
        tuple(json.loads(described["notices"])),
        ScanFacts(mean, sd, CropFacts(crop_mean, crop_lesion)),
    )  # fmt: skip


def _write_prepared(prepared: PreparedCase, path: Path) -> None:
    facts = prepared.facts
    assert facts is not None
    tensors = (
        prepared.image, prepared.lesion, prepared.spacing, facts.mean, facts.sd, facts.crops.mean,
        facts.crops.lesion,
    )  # fmt: skip
    description = {"scan_hash": prepared.scan_hash, "notices": json.dumps(prepared.notices)}
    with replacing(path) as partial:
        save_file(dict(zip(TENSORS, tensors, strict=True)), partial, metadata=description)


def _cache_key(case: Case, preprocessing: PreprocessingConfig, data: DataConfig) -> str:
    files = [(str(path.resolve()), *_stamp(path)) for path in (case.image, case.mask)]
    settings = preprocessing.model_dump(include={"modality", "spacing"})
    chosen = [
        data.label_values, case.volume_index(data.channel), case.modality, data.scan_size,
    ]  # fmt: skip
    document = json.dumps([CACHE_FORMAT, files, settings, chosen], sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:24]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    return status.st_size, status.st_mtime_ns
