"""The checkpoints on offer."""

from __future__ import annotations

import threading
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from app.background import apart
from app.model_cards import model_card
from caiseg import CAISegPredictor, InvalidInput, read_checkpoint_info


class ModelShelf:
    """The checkpoints of one folder, each loaded at its first use.

    Args:
        folder: Where the ``.safetensors`` files lie.
        device: A torch device, or ``auto``.

    Raises:
        InvalidInput: The folder holds no checkpoint.
    """

    def __init__(self, folder: Path, device: str):
        self._device = device
        self._paths = {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
        self._loaded: dict[str, CAISegPredictor] = {}
        self._lock = threading.Lock()
        if not self._paths:
            raise InvalidInput(
                f"There is no checkpoint (.safetensors) in {folder}; name the folder that has one "
                "with --checkpoints."
            )

    @property
    def names(self) -> list[str]:
        """Names of the checkpoints, the one to start with first."""
        return list(self._paths)

    @cached_property
    def cards(self) -> list[dict[str, Any]]:
        """What the checkpoints say about themselves, in the order of :attr:`names`; read once.

        Raises:
            InvalidInput: One of the files is no checkpoint.
        """
        return [model_card(name, read_checkpoint_info(path)) for name, path in self._paths.items()]

    def predictor(self, name: str) -> CAISegPredictor:
        """The predictor of a checkpoint.

        Raises:
            InvalidInput: There is no such checkpoint, or it cannot be used.
        """
        if name not in self._paths:
            raise InvalidInput(f"There is no model named '{name}' here; choose one from the list.")
        with self._lock:
            if name not in self._loaded:
                path = self._paths[name]
                self._loaded[name] = apart(
                    partial(CAISegPredictor.from_checkpoint, path, device=self._device)
                )
            return self._loaded[name]
