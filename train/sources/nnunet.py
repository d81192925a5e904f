"""Raw data sets of nnU-Net v2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, Field

from caiseg.errors import InvalidInput
from caiseg.reading import SUFFIXES
from train.config import DataConfig
from train.manifest import Case
from train.sources.dataset_json import check_labels, choose_channel, read_dataset_json

FORMAT = "an nnU-Net v2 raw data set"
IGNORED = "ignore"
"""nnU-Net's name for the label of voxels that nobody outlined."""


class _Files(BaseModel):
    images: list[str]
    label: str


class _Dataset(BaseModel):
    channel_names: dict[int, str] = Field(min_length=1)
    labels: dict[str, int | list[int]]
    """One value for each class, or the values of each region."""
    file_ending: str
    dataset: dict[str, _Files] | None = None
    """Files of each case, where they do not lie in ``imagesTr`` and ``labelsTr``."""


def read_nnunet(folder: Path, data: DataConfig) -> list[Case]:
    """The training cases of a folder; each is a patient of its own.

    Args:
        folder: ``Dataset001_Name``, say, which holds ``dataset.json``.
        data: Channel and labels to check; the channel is a file of each case, ``CASE_0000`` for 0.

    Raises:
        InvalidInput: The folder is no such data set, or lacks the channel or a label.
    """
    dataset = read_dataset_json(folder, _Dataset, FORMAT)
    if dataset.file_ending.lower() not in SUFFIXES:
        raise InvalidInput(
            f"{folder} holds {dataset.file_ending} files; scans are read as {', '.join(SUFFIXES)}."
        )
    channel = choose_channel(folder, dataset.channel_names, data.channel)
    labels = {
        name: [values] if isinstance(values, int) else values
        for name, values in dataset.labels.items()
    }
    check_labels(folder, labels, data.label_values)
    if data.label_values is None and IGNORED in labels:
        raise InvalidInput(
            f"{folder} has a label '{IGNORED}', which is no lesion; name the values that are with "
            "--set data.label_values=[...]."
        )
    files = (
        _found(folder, dataset.file_ending, channel)
        if dataset.dataset is None
        else _listed(folder, dataset.dataset, channel)
    )
    if not files:
        raise InvalidInput(f"{folder} holds no training case in imagesTr and labelsTr.")
    # The file is one channel alone, so its first volume is the one to read.
    return [Case(name, name, image, mask, "", 0) for name, (image, mask) in files.items()]


def _found(folder: Path, ending: str, channel: int) -> dict[str, tuple[Path, Path]]:
    """Scan and mask by case; a case that lacks one of them is listed, and refused when read."""
    images, masks = folder / "imagesTr", folder / "labelsTr"
    suffix = f"_{channel:04d}{ending}"
    names = {file.name.removesuffix(suffix) for file in images.glob(f"*{suffix}")}
    names |= {file.name.removesuffix(ending) for file in masks.glob(f"*{ending}")}
    return {
        name: (images / f"{name}{suffix}", masks / f"{name}{ending}")
        for name in sorted(names)
        if not name.startswith(".")
    }


def _listed(
    folder: Path, listing: Mapping[str, _Files], channel: int
) -> dict[str, tuple[Path, Path]]:
    short = [name for name, files in listing.items() if len(files.images) <= channel]
    if short:
        raise InvalidInput(f"{folder / 'dataset.json'} lists no channel {channel} of {short[0]}.")
    return {
        name: (folder / files.images[channel], folder / files.label)
        for name, files in listing.items()
    }
