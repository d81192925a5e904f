"""Network configs: the presets' values, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from caiseg.network_config import ISOTROPIC, PRESETS, THICK_SLICES, NetworkConfig, compact, paper


def test_paper_preset_has_the_paper_s_values() -> None:
    config = paper()
    assert (config.base_channels, config.kernel_size) == (16, 5)
    assert config.attention_heads == (16, 16, 8, 4)
    assert config.drop_path == 0.2
    assert (config.similarity, config.position) == ("gaussian", "minmax")
    assert config.affinity_heads > 1
    assert config.alpha == (1.0,)
    assert config.strides == ISOTROPIC


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_thick_slices_keep_full_resolution_through_the_slices(preset: Any) -> None:
    assert preset().strides[0] == (2, 2, 2)
    assert preset(thick_slices=True).strides == THICK_SLICES
    assert preset(thick_slices=True).strides[0] == (2, 2, 1)
    assert preset(thick_slices=True).total_stride == (16, 16, 8)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_any_value_of_a_preset_can_be_replaced(preset: Any) -> None:
    config = preset(similarity="cosine", drop_path=0.0)
    assert (config.similarity, config.drop_path) == ("cosine", 0.0)
    assert config.base_channels == preset().base_channels


def test_compact_preset_is_small_and_measures_in_mm() -> None:
    config = compact()
    assert config.base_channels < paper().base_channels
    assert config.position == "mm"
    assert len(config.alpha) == config.affinity_heads


def test_config_survives_json() -> None:
    config = compact(thick_slices=True)
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config


def test_widths_follow_from_the_base_channels() -> None:
    config = NetworkConfig(base_channels=8)
    assert config.feature_channels == 32
    assert config.decoder_channels == (128, 128, 64, 32)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"base_channels": 10**9}, "base_channels"),
        ({"base_channels": 1}, "base_channels"),
        ({"kernel_size": 4}, "kernel_size"),
        ({"kernel_size": 999}, "kernel_size"),
        ({"strides": ((3, 2, 2), *ISOTROPIC[1:])}, "strides"),
        ({"strides": ISOTROPIC[:3]}, "strides"),
        ({"norm": "batch"}, "norm"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"drop_path": float("nan")}, "drop_path"),
        ({"affinity_heads": 0}, "affinity_heads"),
        ({"affinity_heads": 5}, "affinity_heads=5 does not divide"),
        ({"attention_heads": (16, 16, 8, 3)}, "attention_heads: 3"),
        ({"attention_heads": (16, 16, 8, 0)}, "attention_heads: 0"),
        ({"attention_heads": (16, 16, 8)}, "attention_heads"),
        ({"alpha": (1.0, 2.0)}, "alpha"),
        ({"alpha": ()}, "alpha"),
        ({"alpha": (-1.0,)}, "alpha"),
        ({"alpha": (float("inf"),)}, "alpha"),
        ({"query_scale": 0.0}, "query_scale"),
        ({"dropout": 0.5}, "dropout"),
    ],
)
def test_impossible_values_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        NetworkConfig(**change)


def test_a_config_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        paper().base_channels = 8  # type: ignore[misc]


@pytest.mark.parametrize(
    ("config", "patch_size"),
    [
        (paper(), (128, 128, 96)),
        (paper(thick_slices=True), (256, 256, 64)),
        (compact(), (192, 192, 192)),
        (paper(base_channels=32), (160, 160, 160)),
    ],
)
def test_patches_that_a_graphics_card_holds_are_accepted(
    config: NetworkConfig, patch_size: tuple[int, int, int]
) -> None:
    config.check_patch(patch_size)


@pytest.mark.parametrize(
    ("config", "patch_size"),
    [
        (paper(base_channels=64), (512, 512, 512)),
        (compact(), (512, 512, 512)),
        # Without any stride all channels lie at full resolution.
        (NetworkConfig(strides=((1, 1, 1),) * 4), (128, 128, 96)),
    ],
)
def test_a_patch_is_bounded_by_its_largest_feature_map(
    config: NetworkConfig, patch_size: tuple[int, int, int]
) -> None:
    with pytest.raises(ValueError, match="GiB for one feature map"):
        config.check_patch(patch_size)
