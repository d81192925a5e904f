"""A config as its YAML file and the command line spell it, before it is validated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from caiseg.errors import InvalidInput
from caiseg.network_config import PRESETS

CONFIG_FOLDER = Path(__file__).parent / "configs"


def read_document(name_or_path: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a YAML file, replace keys, and expand the preset that its network section may name.

    Args:
        name_or_path: Name of a built-in config, or a path.
        overrides: ``section.key=value`` items; values are read as YAML.

    Raises:
        InvalidInput: The file is missing or is no mapping, or an override cannot be read.
    """
    document = _read_yaml(name_or_path)
    for override in overrides:
        apply_override(document, override)
    network = document.get("network")
    if isinstance(network, dict) and "preset" in network:
        document["network"] = _expand_preset(dict(network))
    return document


def _read_yaml(name_or_path: str) -> dict[str, Any]:
    built_in = CONFIG_FOLDER / f"{name_or_path}.yaml"
    path = built_in if built_in.is_file() else Path(name_or_path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        names = ", ".join(sorted(file.stem for file in CONFIG_FOLDER.glob("*.yaml")))
        raise InvalidInput(
            f"There is no config '{name_or_path}'; name one of {names}, or a YAML file."
        ) from None
    except yaml.YAMLError as error:
        cause = " ".join(str(error).split())
        raise InvalidInput(f"Config {path} is not valid YAML: {cause}.") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"Config {path} is not a mapping of keys to values.")
    return document


def apply_override(document: dict[str, Any], override: str) -> None:
    """Replace one key of a document, in place.

    Args:
        document: Nested sections.
        override: ``section.key=value``; the value is read as YAML.

    Raises:
        InvalidInput: It cannot be read, or goes through something that is no section.
    """
    key, separator, text = override.partition("=")
    if not separator:
        raise InvalidInput(f"'{override}' is not an override; write section.key=value.")
    *sections, leaf = key.split(".")
    target = document
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise InvalidInput(f"Override '{override}': {section} is not a section.")
    try:
        target[leaf] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"Override '{override}': the value is not valid YAML.") from error


def _expand_preset(network: dict[str, Any]) -> dict[str, Any]:
    name = str(network.pop("preset"))
    if name not in PRESETS:
        raise InvalidInput(f"network.preset: '{name}' is unknown; use {' or '.join(PRESETS)}.")
    thick_slices = network.pop("thick_slices", False)
    if not isinstance(thick_slices, bool):
        raise InvalidInput(f"network.thick_slices: '{thick_slices}' is neither true nor false.")
    return PRESETS[name](thick_slices=thick_slices).model_dump() | network
