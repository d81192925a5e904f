"""Checkpoints: one safetensors file with weights and a JSON document that describes them."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from caiseg.errors import InvalidInput
from caiseg.guided_filter import GuidedFilterConfig
from caiseg.network import CAISeg
from caiseg.network_config import NetworkConfig
from caiseg.preprocessing import PreprocessingConfig

FORMAT_VERSION: Literal[1] = 1
MAX_FILE_BYTES = 2**30
MAX_HEADER_BYTES = 2**22
_KEY = "caiseg"
CAISEG = "caiseg"


class CheckpointInfo(BaseModel):
    """What a checkpoint says about itself; validated before anything is allocated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = FORMAT_VERSION
    method: str = Field(CAISEG, max_length=40)
    """Whose weights these are: ``caiseg``, or a baseline that was trained to compare it with."""
    name: str = Field(max_length=100)
    description: str = Field("", max_length=2000)
    anatomy: str = Field("", max_length=200)
    lesion: str = Field("", max_length=200)
    licence: str = Field("not stated", max_length=1000)
    """Licence of the weights, inherited from the training data."""
    network: NetworkConfig
    preprocessing: PreprocessingConfig
    guided_filter: GuidedFilterConfig | None = None
    """How masks follow the scan's edges; ``None`` leaves them as the network gives them."""
    click_reach_mm: float | None = Field(None, gt=0, le=1000, allow_inf_nan=False)
    """How far from itself a click acts, along every axis; half a patch's size when left out."""
    clicked_pieces: bool = False
    """Whether clicks bring in only pieces that somebody asked for."""
    local_changes: bool = False
    """Whether a click changes the mask only near itself."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """How the weights were made: data, split hash, epochs, command, time, hardware, commit."""
    figures: dict[str, Any] = Field(default_factory=dict)
    """What was measured, and on what."""

    @model_validator(mode="after")
    def _patches_fit_into_memory(self) -> CheckpointInfo:
        self.network.check_patch(self.preprocessing.patch_size)
        return self


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to use, and what its file says about it.

    Attributes:
        network: In evaluation mode, on the device asked for.
        info: The file's own description.
        sha256: Hash of the file, which session files and results refer to.
    """

    network: CAISeg
    info: CheckpointInfo
    sha256: str


def save_checkpoint(
    path: str | os.PathLike[str], network: CAISeg, info: CheckpointInfo, *, half: bool = True
) -> None:
    """Write a checkpoint; the file appears complete or not at all.

    Args:
        path: Ends in ``.safetensors``.
        network: Its weights are written.
        info: Its ``network`` section must be the network's own config.
        half: Store weights in 16 bits, half the size; figures must then be measured on the file.
    """
    if info.network != network.config:
        raise ValueError("info.network is not the config of the network")
    write_weights(path, network.state_dict(), info, half=half)


def write_weights(
    path: str | os.PathLike[str],
    state: Mapping[str, torch.Tensor],
    info: CheckpointInfo,
    *,
    half: bool = True,
) -> None:
    """Write the weights of any method with their description; complete or not at all.

    Args:
        path: Ends in ``.safetensors``.
        state: Weights by name.
        info: What they are.
        half: See :func:`save_checkpoint`.

    Raises:
        InvalidInput: The disk is full or the folder cannot be written.
    """
    dtype = torch.float16 if half else torch.float32
    weights = {
        name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in state.items()
    }
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        usual = partial.stat().st_mode
        save_file(weights, partial, metadata={_KEY: info.model_dump_json()})
        partial.chmod(usual)  # safetensors leaves a file that only its owner may read
        partial.replace(target)
    except (OSError, SafetensorError) as error:
        cause = getattr(error, "strerror", None) or error
        raise InvalidInput(
            f"{target} cannot be written ({cause}); free some disk space or choose another folder."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def read_checkpoint_info(path: str | os.PathLike[str]) -> CheckpointInfo:
    """Read and validate a checkpoint's description without touching its weights.

    Raises:
        InvalidInput: The file is not a CAISeg checkpoint.
    """
    info = read_description(path)
    if info.method != CAISEG:
        raise InvalidInput(
            f"{Path(path).name} holds the weights of {info.method}, a baseline that python -m "
            "train evaluate runs; choose a CAISeg checkpoint here."
        )
    return info


def read_description(path: str | os.PathLike[str]) -> CheckpointInfo:
    """The same for the weights of any method.

    Raises:
        InvalidInput: The file describes nothing that this version reads.
    """
    file = Path(path)
    _check_container(file)
    try:
        with safe_open(file, framework="pt") as stream:
            document = (stream.metadata() or {}).get(_KEY)
    except (SafetensorError, OSError) as error:
        raise InvalidInput(
            f"{file.name} is damaged or cut short ({error}); copy or download it again."
        ) from error
    if document is None:
        raise InvalidInput(
            f"{file.name} holds weights but no CAISeg description; use a file made by "
            "python -m train export."
        )
    try:
        return CheckpointInfo.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "description"
        raise InvalidInput(
            f"{file.name} is not a checkpoint that this version reads: {key}: {first['msg']}."
        ) from error


def load_checkpoint(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Checkpoint:
    """Load a checkpoint for use.

    The file is untrusted: its description is validated, and the names, shapes and types of its
    tensors are compared with the network that it describes before any of them is read.

    Args:
        path: A ``.safetensors`` file.
        device: Where the network goes.

    Raises:
        InvalidInput: The file is not a usable CAISeg checkpoint.
    """
    file = Path(path)
    info = read_checkpoint_info(file)
    with torch.device("meta"):
        expected = CAISeg(info.network).state_dict()
    weights = read_weights(file, expected)
    with torch.device("meta"):
        network = CAISeg(info.network)
    network.load_state_dict(weights, assign=True)
    network.requires_grad_(False)
    return Checkpoint(network.eval().to(device), info, file_hash(file))


def read_weights(file: Path, expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Read the tensors of an untrusted file whose description has been validated.

    Args:
        file: A checkpoint.
        expected: The state of the network that it describes, on any device, ``meta`` too.

    Returns:
        Finite float32 tensors with the names and shapes of ``expected``.

    Raises:
        InvalidInput: The file holds something else.
    """
    weights: dict[str, torch.Tensor] = {}
    try:
        with safe_open(file, framework="pt") as stream:
            names = set(stream.keys())
            if names != set(expected):
                odd = sorted(names ^ set(expected))[0]
                raise InvalidInput(
                    f"{file.name} does not hold the network that it describes: tensor {odd} is "
                    "missing or unknown."
                )
            for name, tensor in expected.items():
                header = stream.get_slice(name)
                if list(header.get_shape()) != list(tensor.shape):
                    raise InvalidInput(
                        f"{file.name} does not hold the network that it describes: tensor {name} "
                        f"has shape {header.get_shape()}, not {list(tensor.shape)}."
                    )
                if header.get_dtype() not in ("F16", "BF16", "F32"):
                    raise InvalidInput(f"{file.name}: tensor {name} is not floating point.")
            for name in expected:
                weights[name] = stream.get_tensor(name).float()
    except (SafetensorError, OSError) as error:
        raise InvalidInput(f"{file.name} is damaged ({error}).") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise InvalidInput(f"{file.name} is damaged: it holds weights that are not numbers.")
    return weights


def _check_container(file: Path) -> None:
    """Bound what the safetensors reader, which compares the header with the file, may load."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            prefix = stream.read(8)
            if len(prefix) < 8 or size > MAX_FILE_BYTES:
                raise InvalidInput(f"{file.name} is not a CAISeg checkpoint.")
            (length,) = struct.unpack("<Q", prefix)
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise InvalidInput(f"{file.name} is not a CAISeg checkpoint, or it is cut short.")
    except OSError as error:
        raise InvalidInput(f"Checkpoint {file} cannot be read: {error.strerror}.") from error


def file_hash(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
