"""What every adapter asks for first: a library that is installed, and weights that are there."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

from caiseg.errors import InvalidInput


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
