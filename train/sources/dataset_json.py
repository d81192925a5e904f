"""What the Decathlon's and nnU-Net's ``dataset.json`` have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from caiseg.errors import InvalidInput

Document = TypeVar("Document", bound=BaseModel)


def read_dataset_json(folder: Path, model: type[Document], format_name: str) -> Document:
    """Read ``dataset.json`` of a folder.

    Args:
        folder: The folder that it lies in.
        model: The keys that it must have.
        format_name: What the format is called in the refusal.

    Raises:
        InvalidInput: The file is missing, is not JSON, or a key is missing or wrong.
    """
    path = folder / "dataset.json"
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror}); name the folder of {format_name} that "
            "holds dataset.json."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"{path} is not the dataset.json of {format_name}: {key}{': ' if key else ''}"
            f"{first['msg']}."
        ) from error


def choose_channel(folder: Path, channels: Mapping[int, str], chosen: int | None) -> int:
    """The config's channel; where it states none, the only one.

    Raises:
        InvalidInput: There is no such channel, or there are several and none was chosen.
    """
    names = ", ".join(f"{number} {name}" for number, name in sorted(channels.items()))
    if chosen is None:
        if len(channels) == 1:
            return next(iter(channels))
        raise InvalidInput(
            f"{folder} has the channels {names}; choose one with --set data.channel=NUMBER."
        )
    if chosen not in channels:
        raise InvalidInput(
            f"{folder} has no channel {chosen}, which data.channel asks for; it has {names}."
        )
    return chosen


def check_labels(
    folder: Path, labels: Mapping[str, Collection[int]], chosen: Collection[int] | None
) -> None:
    """Refuse label values that the data set does not have.

    Args:
        folder: The data set.
        labels: Values of each label, by name.
        chosen: ``data.label_values`` of the config; ``None`` for all above 0.

    Raises:
        InvalidInput: The config names a value that is no label.
    """
    known = {value for values in labels.values() for value in values}
    missing = sorted(set(chosen or ()) - known)
    if missing:
        names = ", ".join(
            f"{name} {' and '.join(str(value) for value in values)}"
            for name, values in labels.items()
        )
        raise InvalidInput(
            f"{folder} has no label {missing[0]}, which data.label_values asks for; it has {names}."
        )
