"""Regions of the ground truth that change sides while clicks are learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from tests.train.small_experiment import small_config
from train import steps
from train.config import ExperimentConfig, RelabellingConfig
from train.methods import trainable
from train.methods.trainable import build_network, training_step
from train.relabelling import LEAST_LEFT, relabelled, relabelled_batch

SHAPE = (48, 48, 16)
SPACING = (2.0, 2.0, 4.0)
SEEDS = [(0, 0, 0, 0), (0, 0, 1, 0)]
ONE = RelabellingConfig(share=1, regions=(1, 1))
OUTLINES = RelabellingConfig(share=1, outline_share=1)


def lesion() -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[14:34, 14:34, 4:12] = True
    return mask


def scan() -> np.ndarray[Any, np.dtype[np.float32]]:
    """A bright lesion in darker tissue; air, far darker, in the first rows."""
    image = np.random.default_rng(0).normal(0, 0.1, SHAPE).astype(np.float32)
    image[lesion()] += 0.3
    image[:8] = -5
    return image


def batch() -> dict[str, Tensor]:
    return {
        "image": torch.from_numpy(scan())[None, None].repeat(2, 1, 1, 1, 1),
        "lesion": torch.from_numpy(lesion())[None, None].float().repeat(2, 1, 1, 1, 1),
        "target": torch.from_numpy(lesion())[None, None].float().repeat(2, 1, 1, 1, 1),
        "spacing": torch.tensor([SPACING, SPACING]),
        "key": torch.tensor([[0, 0, 0], [0, 1, 0]]),
    }


def changes(config: RelabellingConfig, samples: int) -> list[np.ndarray[Any, np.dtype[np.bool_]]]:
    return [
        relabelled(scan(), lesion(), SPACING, config, np.random.default_rng(seed)) ^ lesion()
        for seed in range(samples)
    ]


def test_regions_are_both_added_and_taken_away() -> None:
    flipped = changes(ONE, 40)
    assert any((region & lesion()).any() for region in flipped)
    assert any((region & ~lesion()).any() for region in flipped)


def test_a_region_is_no_larger_than_its_radius_in_mm() -> None:
    config = ONE.model_copy(update={"radius_mm": (12.0, 12.0)})
    for region in changes(config, 40):
        if region.any():
            box = ndimage.find_objects(region.astype(np.uint8))[0]
            reach = [
                (part.stop - part.start - 1) * step for part, step in zip(box, SPACING, strict=True)
            ]
            assert max(reach) <= 24


def test_air_does_not_become_lesion() -> None:
    config = ONE.model_copy(update={"regions": (3, 3), "rim_mm": (2.0, 2.0)})
    assert not any(region[:8].any() for region in changes(config, 40))


def test_what_moves_of_the_rim_lies_near_it() -> None:
    # So little contrast is allowed that a region that looks alike is no more than its first voxel.
    config = ONE.model_copy(update={"contrast": (1e-6, 1e-6), "rim_mm": (6.0, 6.0)})
    inner = ndimage.distance_transform_edt(lesion(), sampling=SPACING)
    outer = ndimage.distance_transform_edt(~lesion(), sampling=SPACING)
    moved = [region for region in changes(config, 40) if region.sum() > 1]
    assert len(moved) > 5
    assert all(np.maximum(inner, outer)[region].max() <= 6 for region in moved)


def outlined(image: np.ndarray[Any, np.dtype[np.float32]], seed: int) -> Any:
    return relabelled(image, lesion(), SPACING, OUTLINES, np.random.default_rng(seed))


def test_an_outline_drawn_anew_moves_on_all_sides_and_both_ways() -> None:
    moved = [outlined(scan(), seed) for seed in range(40)]
    core = ndimage.binary_erosion(lesion(), iterations=3)
    assert all(mask[core].mean() > 0.5 for mask in moved)
    larger = [mask for mask in moved if mask.sum() > 1.1 * lesion().sum()]
    smaller = [mask for mask in moved if mask.sum() < 0.9 * lesion().sum()]
    assert len(larger) > 5
    assert len(smaller) > 5
    # Not one stretch of the rim: voxels are added before and behind the lesion along every axis.
    generous = max(larger, key=lambda mask: int(mask.sum())) & ~lesion()
    for axis in range(3):
        rows = np.flatnonzero(generous.any(tuple({0, 1, 2} - {axis})))
        inside = np.flatnonzero(lesion().any(tuple({0, 1, 2} - {axis})))
        assert rows[0] < inside[0]
        assert rows[-1] > inside[-1]


def test_an_outline_drawn_anew_stays_one_with_the_lesion() -> None:
    for seed in range(20):
        mask = outlined(scan(), seed)
        labelled, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
        assert set(np.unique(labelled[mask])) == set(np.unique(labelled[mask & lesion()]))


def test_an_outline_drawn_anew_follows_brightness() -> None:
    bright = scan()
    bright[34:38, 14:34, 4:12] += 0.3  # as bright as the lesion, on one side of it
    dark = -bright
    sides = {"like the lesion": np.s_[34:36, 14:34, 4:12], "unlike it": np.s_[12:14, 14:34, 4:12]}
    for image in (bright, dark):
        added = {
            name: sum(int(outlined(image, seed)[side].sum()) for seed in range(40))
            for name, side in sides.items()
        }
        assert added["like the lesion"] > 1.3 * added["unlike it"]


def test_most_of_the_lesion_may_not_go() -> None:
    greedy = RelabellingConfig(
        share=1, regions=(6, 6), radius_mm=(60.0, 60.0), contrast=(9.0, 9.0), rim_mm=(30.0, 30.0)
    )
    for seed in range(20):
        rng = np.random.default_rng(seed)
        left = relabelled(scan(), lesion(), SPACING, greedy, rng)
        assert left.sum() >= LEAST_LEFT * lesion().sum()


def test_a_scan_without_lesion_stays_without() -> None:
    nothing = np.zeros(SHAPE, dtype=bool)
    assert not relabelled(scan(), nothing, SPACING, ONE, np.random.default_rng(0)).any()


def test_a_sample_is_relabelled_the_same_way_every_time() -> None:
    again = [relabelled_batch(batch(), 3, SEEDS, ONE) for _ in range(2)]
    assert torch.equal(*again)
    assert not torch.equal(again[0][0], again[0][1])


def test_the_share_of_relabelled_samples_is_the_configured_one() -> None:
    config = RelabellingConfig(share=0.3)
    seeds = [(0, 0, case, 0) for case in range(200)]
    many = {name: value[:1].repeat(200, *[1] * (value.ndim - 1)) for name, value in batch().items()}
    targets = relabelled_batch(many, 2, seeds, config)
    changed = (targets != many["lesion"]).flatten(1).any(1).float().mean()
    assert 0.2 < float(changed) < 0.4


@pytest.mark.parametrize("method", ["caiseg", "ritm3d"])
def test_clicks_go_to_the_relabelled_lesion_and_learn_it(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = experiment(method)
    learned, clicked = record(config, method, monkeypatch)
    expected = relabelled_batch(batch(), 3, SEEDS, config.relabelling)
    assert not torch.equal(expected, batch()["lesion"])
    assert torch.equal(learned[0], expected)
    assert torch.equal(clicked[0], expected)


def test_the_first_mask_learns_the_true_lesion(monkeypatch: pytest.MonkeyPatch) -> None:
    learned, _ = record(experiment("caiseg"), "caiseg", monkeypatch)
    assert torch.equal(learned[1], batch()["lesion"])


def test_a_single_round_learns_the_true_lesion(monkeypatch: pytest.MonkeyPatch) -> None:
    learned, _ = record(experiment("caiseg", rounds=1), "caiseg", monkeypatch)
    assert torch.equal(learned[0], batch()["lesion"])


def experiment(method: str, rounds: int = 3) -> ExperimentConfig:
    config = small_config(
        clicks={"rounds": (rounds, rounds)},
        loss={"first_mask_weight": 0.5},
        relabelling=ONE.model_dump(),
    )
    return config.model_copy(update={"method": method})


def record(
    config: ExperimentConfig, method: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Tensor], list[Tensor]]:
    """Targets of the losses of one step, and those of its clicks."""
    learned: list[Tensor] = []
    clicked: list[Tensor] = []
    module, loss, place = (
        (steps, "training_loss", 2) if method == "caiseg" else (trainable, "combined_loss", 1)
    )
    simulate, at = ("simulate_rounds", 2) if method == "caiseg" else ("play_rounds", 1)
    real_loss, real_simulate = getattr(module, loss), getattr(module, simulate)

    def watched_loss(*arguments: Any) -> Tensor:
        learned.append(arguments[place])
        result: Tensor = real_loss(*arguments)
        return result

    def watched_simulation(*arguments: Any) -> Any:
        clicked.append(arguments[at])
        return real_simulate(*arguments)

    monkeypatch.setattr(module, loss, watched_loss)
    monkeypatch.setattr(module, simulate, watched_simulation)
    torch.manual_seed(0)
    training_step(build_network(method, config.network), config)(batch(), "interactive", 0, 0.5)
    return learned, clicked
