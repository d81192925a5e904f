"""Eq. 1: queries read the decoder outputs scale by scale."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from caiseg.head_features import CrossAttention, DropPath, HeadFeatures


@torch.no_grad()
def literal_eq_1(module: CrossAttention, queries: Tensor, features: Tensor) -> Tensor:
    """``q <- q + MLP(q + softmax(q K^T / sqrt(d_k)) V)``, one query, head and voxel at a time."""
    channels = queries.shape[1]
    width = channels // module.heads
    rows = [features[:, i, j, k] for i, j, k in voxels_of(features)]
    keys = [module.key.weight @ row + module.key.bias for row in rows]
    values = [module.value.weight @ row + module.value.bias for row in rows]
    updated = []
    for query in queries:
        read = []
        for head in range(module.heads):
            part = slice(head * width, (head + 1) * width)
            scores = [float(query[part] @ key[part]) / math.sqrt(width) for key in keys]
            total = sum(math.exp(score) for score in scores)
            shares = [math.exp(score) / total for score in scores]
            weighted = [share * row[part] for share, row in zip(shares, values, strict=True)]
            read.append(torch.stack(weighted).sum(0))
        first, last = module.mlp[0], module.mlp[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        hidden = first.weight @ (query + torch.cat(read)) + first.bias
        updated.append(query + last.weight @ hidden.clamp(min=0) + last.bias)
    return torch.stack(updated)


def voxels_of(features: Tensor) -> list[tuple[int, int, int]]:
    _, size_i, size_j, size_k = features.shape
    return [(i, j, k) for i in range(size_i) for j in range(size_j) for k in range(size_k)]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_eq_1_cross_attention_equals_the_literal_formula(heads: int) -> None:
    torch.manual_seed(heads)
    module = CrossAttention(8, heads, drop_path=0.2).eval().double()
    queries, features = torch.randn(3, 2, 8).double(), torch.randn(3, 8, 4, 3, 2).double()
    found = module(queries, features)
    for sample in range(3):
        expected = literal_eq_1(module, queries[sample], features[sample])
        torch.testing.assert_close(found[sample], expected)


def test_drop_path_does_nothing_in_evaluation_mode() -> None:
    branch = torch.randn(4, 2, 8)
    assert torch.equal(DropPath(0.9).eval()(branch), branch)


def test_drop_path_of_probability_zero_does_nothing() -> None:
    branch = torch.randn(4, 2, 8)
    assert torch.equal(DropPath(0.0).train()(branch), branch)


def test_drop_path_drops_whole_samples_at_its_probability_and_scales_the_others() -> None:
    torch.manual_seed(0)
    dropped = DropPath(0.2).train()(torch.ones(5000, 2, 3)).flatten(1)
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    assert torch.equal(dropped.amin(1), dropped.amax(1)), "a sample was dropped in part"
    share = float((dropped[:, 0] == 0).float().mean())
    assert share == pytest.approx(0.2, abs=0.02)


def test_dropping_the_path_leaves_a_query_as_it_was() -> None:
    torch.manual_seed(0)
    module = CrossAttention(8, 2, drop_path=0.5).train()
    queries = torch.randn(64, 2, 8)
    same = (module(queries, torch.randn(64, 8, 2, 2, 2)) == queries).flatten(1)
    assert torch.equal(same.any(1), same.all(1))
    assert 16 <= int(same.all(1).sum()) <= 48


def small_head_features() -> HeadFeatures:
    torch.manual_seed(0)
    return HeadFeatures((32, 32, 16, 8), (4, 4, 2, 1), drop_path=0.2).eval()


def decoder_outputs(samples: int = 2) -> list[Tensor]:
    torch.manual_seed(1)
    sizes = zip((32, 32, 16, 8), (1, 2, 4, 8), strict=True)
    return [torch.randn(samples, channels, size, size, size) for channels, size in sizes]


def test_a_linear_layer_stands_where_the_width_changes_and_only_there() -> None:
    kinds = [type(layer) for layer in small_head_features().resize]
    assert kinds == [nn.Identity, nn.Identity, nn.Linear, nn.Linear]


def test_head_features_are_two_rows_as_wide_as_the_feature_map() -> None:
    assert small_head_features()(decoder_outputs()).shape == (2, 2, 8)


def test_scales_are_read_coarse_to_fine_each_with_its_own_attention() -> None:
    module, outputs = small_head_features(), decoder_outputs()
    queries = module.queries.expand(2, -1, -1)
    for resize, attention, features in zip(module.resize, module.attentions, outputs, strict=True):
        queries = attention(resize(queries), features)
    torch.testing.assert_close(module(outputs), queries, rtol=0, atol=0)


@pytest.mark.parametrize("scale", range(4))
def test_every_scale_changes_the_head_features(scale: int) -> None:
    module, outputs = small_head_features(), decoder_outputs()
    before = module(outputs)
    outputs[scale] = outputs[scale] + torch.randn_like(outputs[scale])
    assert not torch.allclose(module(outputs), before, atol=1e-4)


def test_head_features_of_a_scan_do_not_depend_on_its_batch() -> None:
    module, outputs = small_head_features(), decoder_outputs()
    alone = module([features[1:] for features in outputs])
    torch.testing.assert_close(module(outputs)[1:], alone)
