"""Multi-scale cross-attention: the head features of lesion and background (eq. 1, Fig. 1 (b))."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Skips a residual branch for a random share of the samples while training (ref. 45)."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """Zero whole samples of ``branch`` (first axis), scaling up the others."""
        if not self.training or self.probability == 0:
            return branch
        keep = 1 - self.probability
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        kept = torch.rand(shape, device=branch.device, dtype=branch.dtype) < keep
        return branch * kept / keep


class CrossAttention(nn.Module):
    """One scale of eq. 1: ``q <- q + MLP(q + softmax(q K^T / sqrt(d_k)) V)``.

    Args:
        channels: Width of the queries and of the feature map at this scale.
        heads: Attention heads; divides ``channels``.
        drop_path: Probability of skipping the MLP branch while training.
    """

    def __init__(self, channels: int, heads: int, drop_path: float):
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, queries: Tensor, features: Tensor) -> Tensor:
        """Let the queries read one feature map.

        Args:
            queries: ``(N, 2, C)``.
            features: ``(N, C, I, J, K)``.

        Returns:
            Queries ``(N, 2, C)``.
        """
        rows = features.flatten(2).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(
            self._split(queries), self._split(self.key(rows)), self._split(self.value(rows))
        )
        merged = attended.transpose(1, 2).flatten(2)
        return queries + self.drop_path(self.mlp(queries + merged))  # type: ignore[no-any-return]

    def _split(self, rows: Tensor) -> Tensor:
        """``(N, L, C)`` to ``(N, heads, L, C / heads)``."""
        split: Tensor = rows.unflatten(2, (self.heads, -1))
        return split.transpose(1, 2)


class HeadFeatures(nn.Module):
    """``q_fore`` and ``q_back`` of a scan, read from its decoder outputs, coarse to fine.

    Row 0 is the background, row 1 the foreground, as in :class:`caiseg.clicks.Label`.

    Args:
        channels: Widths of the decoder outputs at strides 16, 8, 4 and 2.
        heads: Attention heads at the same scales (16, 16, 8 and 4 in the paper).
        drop_path: See :class:`CrossAttention`.
    """

    def __init__(self, channels: Sequence[int], heads: Sequence[int], drop_path: float):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(2, channels[0]))
        self.attentions = nn.ModuleList(
            CrossAttention(width, count, drop_path)
            for width, count in zip(channels, heads, strict=True)
        )
        self.resize = nn.ModuleList(
            nn.Identity() if before == after else nn.Linear(before, after)
            for before, after in zip([channels[0], *channels[:-1]], channels, strict=True)
        )

    def forward(self, decoder: Sequence[Tensor]) -> Tensor:
        """Head features of a batch of scans.

        Args:
            decoder: Outputs at strides 16, 8, 4 and 2, each ``(N, C_s, I_s, J_s, K_s)``.

        Returns:
            ``q_cls``, ``(N, 2, C)``.
        """
        queries = self.queries.expand(decoder[0].shape[0], -1, -1)
        for resize, attention, features in zip(self.resize, self.attentions, decoder, strict=True):
            queries = attention(resize(queries), features)
        return queries
