"""Ablation studies: which variants of a config are trained and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from caiseg.errors import InvalidInput

STUDIES = Path(__file__).with_name("ablations.yaml")
FULL = "full model"
"""The label of the config without any change."""


class _Study(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    variants: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Variant:
    """One network to train.

    Attributes:
        label: What it is called in tables.
        folder: Where its runs are kept.
        overrides: Keys of the config that it changes.
    """

    label: str
    folder: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """Variants that are compared with the full model.

    Attributes:
        name: What the command line calls it.
        title: Heading of its part of the report.
        variants: The full model first.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]


def read_studies(path: Path, names: Sequence[str] = ()) -> list[Study]:
    """Read studies.

    Args:
        path: A YAML file like ``ablations.yaml``.
        names: Which of them; all when empty.

    Raises:
        InvalidInput: The file is no such file, or holds no study of that name.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = TypeAdapter(dict[str, _Study]).validate_python(document)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Studies {path} cannot be read: {error}.") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise InvalidInput(
            f"{path} holds no studies; write them as train/comparison/ablations.yaml does."
        ) from error
    for name in names:
        if name not in found:
            raise InvalidInput(f"There is no study '{name}'; choose one of {', '.join(found)}.")
    full = Variant(FULL, "full", ())
    return [
        Study(
            name,
            study.title,
            (
                full,
                *(
                    Variant(label, f"{name}-{number}", overrides)
                    for number, (label, overrides) in enumerate(study.variants.items(), start=1)
                ),
            ),
        )
        for name, study in found.items()
        if not names or name in names
    ]
