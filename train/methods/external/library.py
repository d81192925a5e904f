"""What adapters share: a library that is installed, weights that fit, scans as files hold them."""

from __future__ import annotations

import argparse
import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from caiseg.clicks import Click
from caiseg.errors import InvalidInput
from caiseg.volume import Volume


def require_library(method: str, module: str, install: str) -> Any:
    """Import a module of another project.

    Args:
        method: Whose library it is.
        module: Dotted name.
        install: What to type to install it.

    Raises:
        InvalidInput: It is not installed, or not completely.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InvalidInput(
            f"The method {method} needs a library that is not installed ({error}); run {install}, "
            f"and name its weights with --checkpoint {method}=PATH."
        ) from error


def require_weights(method: str, path: Path | None, what: str) -> Path:
    """The file or folder of another project's weights.

    Args:
        method: Whose weights they are.
        path: What was named on the command line.
        what: What they are and where to get them.

    Raises:
        InvalidInput: Nothing was named, or nothing is there.
    """
    if path is None or not path.exists():
        found = "no weights were named" if path is None else f"{path} does not exist"
        raise InvalidInput(
            f"The method {method}: {found}; get {what}, and name it with --checkpoint "
            f"{method}=PATH."
        )
    return path


def fill_with_weights(method: str, network: nn.Module, path: Path, key: str = "") -> None:
    """Read a PyTorch file into a network, on any machine and without running code from it.

    The loaders of the projects themselves unpickle whatever the file holds, ask for the device
    that it was written on, and let some of them keep random weights where the file has none.

    Args:
        method: Whose weights they are.
        network: Gets the weights, on its own device.
        path: The file.
        key: Where in the file they lie; all of it when empty.

    Raises:
        InvalidInput: The file is damaged, or holds the weights of another network.
    """
    try:
        # Training scripts save their command line beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
        missing, _ = network.load_state_dict(content[key] if key else content, strict=False)
    except Exception as error:  # torch.load names no exception types
        raise InvalidInput(
            f"The method {method}: {path.name} holds no weights that can be read "
            f"({type(error).__name__}); get the published file again."
        ) from error
    if missing:
        raise InvalidInput(
            f"The method {method}: {path.name} holds the weights of another network, without "
            f"{missing[0]}; name the published file."
        )


def stored_array(volume: Volume) -> npt.NDArray[np.float32]:
    """Intensities as SimpleITK reads them: in the orientation of the file, last axis first."""
    return np.ascontiguousarray(volume.to_native(volume.data).T, dtype=np.float32)


def stored_voxel(volume: Volume, click: Click) -> tuple[int, int, int]:
    """The place of a click in :func:`stored_array`."""
    i, j, k = (int(index) for index in volume.reorientation.points_to_native(click.voxel))
    return k, j, i


def from_stored(volume: Volume, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Bring a mask of :func:`stored_array` to the display grid."""
    return volume.from_native(mask.T)


def weights_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        if file != path:
            digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
