"""Task folders of the Medical Segmentation Decathlon, as downloaded."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pydantic import BaseModel, Field

from caiseg.errors import InvalidInput
from train.config import DataConfig
from train.manifest import Case
from train.sources.dataset_json import check_labels, choose_channel, read_dataset_json

FORMAT = "a Medical Segmentation Decathlon task"


class _Pair(BaseModel):
    image: str
    label: str


class _Task(BaseModel):
    modality: dict[int, str] = Field(min_length=1)
    """Sequences of the scans; more than one means that they are 4-D."""
    labels: dict[int, str]
    training: list[_Pair]


def read_decathlon(folder: Path, data: DataConfig) -> list[Case]:
    """The training cases that ``dataset.json`` lists; each is a patient of its own.

    The challenge's test scans have no masks and are left out, and so are the ``._`` files that
    macOS put into the archives.

    Args:
        folder: ``Task01_BrainTumour``, say, which holds ``dataset.json``, ``imagesTr`` and
            ``labelsTr``.
        data: Channel and labels to check; the channel is a volume of the 4-D scans.

    Raises:
        InvalidInput: The folder is no such task, or lacks the channel or a label.
    """
    task = read_dataset_json(folder, _Task, FORMAT)
    channel = choose_channel(folder, task.modality, data.channel)
    labels = {name: [value] for value, name in task.labels.items()}
    check_labels(folder, labels, data.label_values)
    cases = []
    for pair in task.training:
        file = PurePosixPath(pair.image).name
        if not file.startswith("._"):
            name = file.removesuffix(".gz").removesuffix(".nii")
            cases.append(Case(name, name, folder / pair.image, folder / pair.label, "", channel))
    if not cases:
        raise InvalidInput(f"{folder / 'dataset.json'} lists no training case.")
    return cases
