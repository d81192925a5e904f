"""What describes a CAISeg network: its sizes, strides and the paper's switches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from caiseg.vnet import Norm, Stride

ISOTROPIC: tuple[Stride, Stride, Stride, Stride] = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2))
THICK_SLICES: tuple[Stride, Stride, Stride, Stride] = ((2, 2, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))

MAX_FEATURE_MAP = 2**27
"""Largest feature map of a patch, in values: half a GiB of float32, of which several are held at
once. The paper's patches take a fifth of it."""

Positive = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class NetworkConfig(BaseModel):
    """Everything needed to build a :class:`caiseg.network.CAISeg`.

    The bounds keep an untrusted checkpoint's metadata from asking for absurd amounts of memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_channels: int = Field(16, ge=2, le=64)
    """Width of the first VNet stage; ``F`` has four times as many channels."""
    kernel_size: Literal[1, 3, 5, 7] = 5
    """Size of VNet's same-resolution convolutions."""
    strides: tuple[Stride, Stride, Stride, Stride] = ISOTROPIC
    """VNet's down-sampling steps, each per axis ``(i, j, k)``."""
    norm: Norm = "instance"
    """Normalisation of every stage but the last (which holds none)."""
    attention_heads: tuple[int, int, int, int] = (16, 16, 8, 4)
    """Heads of the cross-attention at strides 16, 8, 4 and 2."""
    drop_path: float = Field(0.2, ge=0, lt=1)
    """Probability of skipping an attention MLP while training."""
    affinity_heads: int = Field(4, ge=1, le=64)
    """Heads ``n_h`` of the Feature Clustering Block (Table III, multi-head)."""
    similarity: Literal["gaussian", "cosine"] = "gaussian"
    """Similarity of eqs. 4-5 (Table III): Gaussian of the Euclidean distance, or cosine."""
    position: Literal["minmax", "mm", "none"] = "minmax"
    """The distance term of eq. 4. ``minmax`` is the paper's: the largest distance in the scan
    counts as 1, so that a click reaches farther in a larger scan. ``mm`` counts 100 mm as 1, so
    that a click's reach is the same in a training crop and in a whole scan. ``none`` drops it."""
    alpha: tuple[Positive, ...] = (1.0,)
    """Initial weight of the distance term: one learned value for all heads, or one per head, so
    that some heads act near a click and some far."""
    query_scale: Positive = 1.0
    """Factor on the He-initialised shared linear layer of the Feature Clustering Block; below 1
    it starts with affinities that spread beyond the clicked voxel."""
    exclusive: bool = False
    """Whether the labels compete in eq. 3: the affinity to one label's click then counts as far as
    the voxel is not akin to the other label's. The paper adds both adjustments, so that a
    background click next to a foreground click does not get the background's head feature even at
    its own voxel, and many clicks on both sides of a border disobey each other."""

    @field_validator("strides")
    @classmethod
    def _strides_are_one_or_two(
        cls, strides: tuple[Stride, Stride, Stride, Stride]
    ) -> tuple[Stride, Stride, Stride, Stride]:
        if any(step not in (1, 2) for stride in strides for step in stride):
            raise ValueError("every stride must be 1 or 2 along each axis")
        return strides

    @model_validator(mode="after")
    def _heads_divide_widths(self) -> NetworkConfig:
        if self.feature_channels % self.affinity_heads:
            raise ValueError(
                f"affinity_heads={self.affinity_heads} does not divide the "
                f"{self.feature_channels} feature channels"
            )
        for heads, channels in zip(self.attention_heads, self.decoder_channels, strict=True):
            if heads < 1 or channels % heads:
                raise ValueError(f"attention_heads: {heads} does not divide {channels} channels")
        if len(self.alpha) not in (1, self.affinity_heads):
            raise ValueError("alpha needs one value, or one for each of the affinity_heads")
        return self

    @property
    def feature_channels(self) -> int:
        """Channels ``C`` of ``F``."""
        return 4 * self.base_channels

    @property
    def decoder_channels(self) -> tuple[int, int, int, int]:
        """Channels of the decoder outputs at strides 16, 8, 4 and 2."""
        base = self.base_channels
        return 16 * base, 16 * base, 8 * base, 4 * base

    @property
    def total_stride(self) -> Stride:
        """Every axis of the network's input is a multiple of this."""
        i, j, k = (math.prod(stride[axis] for stride in self.strides) for axis in range(3))
        return i, j, k

    def check_patch(self, patch_size: Sequence[int]) -> None:
        """Refuse patches that take absurd amounts of memory to encode.

        Args:
            patch_size: Largest patch ``(i, j, k)`` in voxels.

        Raises:
            ValueError: A feature map has more than :data:`MAX_FEATURE_MAP` values.
        """
        voxels, channels = math.prod(patch_size), self.base_channels
        largest = voxels * channels
        for stride in self.strides:
            voxels, channels = voxels // math.prod(stride), 2 * channels
            largest = max(largest, voxels * channels)
        if largest > MAX_FEATURE_MAP:
            size = " x ".join(str(length) for length in patch_size)
            raise ValueError(
                f"a patch of {size} voxels with {self.base_channels} base channels and these "
                f"strides takes {largest / 2**28:.3g} GiB for one feature map, and "
                f"{MAX_FEATURE_MAP / 2**28:.3g} GiB are allowed; take smaller patches"
            )


def paper(*, thick_slices: bool = False, **overrides: Any) -> NetworkConfig:
    """The paper's network: base 16, kernel 5, min-max distances, one learned alpha."""
    return NetworkConfig(strides=THICK_SLICES if thick_slices else ISOTROPIC, **overrides)


def compact(*, thick_slices: bool = False, **overrides: Any) -> NetworkConfig:
    """A network for CPUs: base 8, kernel 3, distances in mm, one reach per head, rival labels."""
    settings: dict[str, Any] = {
        "base_channels": 8,
        "kernel_size": 3,
        "position": "mm",
        "alpha": (4.0, 2.0, 1.5, 1.0),
        "query_scale": 0.3,
        "exclusive": True,
    }
    strides = THICK_SLICES if thick_slices else ISOTROPIC
    return NetworkConfig(strides=strides, **(settings | overrides))


PRESETS = {"paper": paper, "compact": compact}
