"""Stand-ins for networks of other projects: modules that keep their contract."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from caiseg import Click, Label

SHAPE = (30, 24, 10)
SPACING = (2.0, 3.0, 5.0)
FOREGROUND = Click((12, 9, 4), Label.FOREGROUND)
BACKGROUND = Click((20, 14, 7), Label.BACKGROUND)
WEIGHTS = {"image_encoder.weight": torch.ones(1)}
"""Of every model of :func:`model_of`."""


def install(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    """Put a stand-in, and the packages that it lies in, where ``import`` looks."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        dotted = ".".join(parts[:count])
        monkeypatch.setitem(sys.modules, dotted, ModuleType(dotted))
    for key, value in contents.items():
        setattr(sys.modules[name], key, value)


class PromptEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    def forward(self, points: Any, boxes: Any, masks: Any) -> tuple[Any, Any]:
        self.asked.append({"points": points, "boxes": boxes, "masks": masks})
        return points, boxes

    def get_dense_pe(self) -> Tensor:
        return torch.zeros(1)


class ImageEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        self.image = image
        return image


def model_of(decode: Any) -> nn.Module:
    class MaskDecoder(nn.Module):
        def forward(
            self, image_embeddings: Tensor, image_pe: Tensor, sparse_prompt_embeddings: Any,
            dense_prompt_embeddings: Any, multimask_output: bool | None = None,
        ) -> tuple[Tensor, None]:  # fmt: skip
            return decode(image_embeddings, sparse_prompt_embeddings), None

    model = nn.Module()
    model.image_encoder = ImageEncoder()
    model.prompt_encoder = PromptEncoder()
    model.mask_decoder = MaskDecoder()
    return model
