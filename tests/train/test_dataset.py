"""Training samples: everything random about them follows from their key."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tests.train.small_experiment import prepared_cases, small_config
from train.config import AugmentationConfig
from train.dataset import (
    EpochSampler,
    SampleKey,
    StoredCases,
    TrainingSamples,
    augmentation,
)
from train.prepared import PreparedCase

CONFIG = small_config(data={"crop_size": [16, 16, 16]}, augmentation={"p": 1.0, "gamma": 0.3})
KEYS = [SampleKey(epoch, case, repeat) for epoch in (0, 1) for case in (0, 1) for repeat in (0, 1)]


@pytest.fixture(scope="module")
def cases() -> StoredCases:
    return prepared_cases(3)


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_a_sample_has_the_documented_shapes_and_values(cases: StoredCases) -> None:
    sample = TrainingSamples(cases, CONFIG)[SampleKey(4, 2, 1)]
    assert sample["image"].shape == sample["lesion"].shape == (1, 16, 16, 16)
    assert torch.equal(sample["target"], sample["lesion"])
    assert sample["image"].dtype == sample["lesion"].dtype == torch.float32
    assert set(sample["lesion"].unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(sample["spacing"], cases[2].spacing)
    assert sample["key"].tolist() == [4, 2, 1]


def test_the_same_key_gives_the_same_sample_whatever_came_before(
    cases: StoredCases,
) -> None:
    samples = TrainingSamples(cases, CONFIG)
    first = samples[KEYS[3]]
    torch.manual_seed(99)
    samples[KEYS[5]]
    assert_same(samples[KEYS[3]], first)
    assert_same(TrainingSamples(cases, CONFIG)[KEYS[3]], first)


def test_epoch_case_repeat_and_seed_each_give_another_sample(cases: StoredCases) -> None:
    samples = TrainingSamples(cases, CONFIG)
    images = [samples[key]["image"] for key in KEYS]
    other_seed = CONFIG.model_copy(update={"seed": 1})
    images.append(TrainingSamples(cases, other_seed)[KEYS[0]]["image"])
    for n, image in enumerate(images):
        assert not any(torch.equal(image, other) for other in images[:n])


def test_drawing_a_sample_leaves_the_global_random_state_alone(cases: StoredCases) -> None:
    before = torch.get_rng_state()
    TrainingSamples(cases, CONFIG)[KEYS[0]]
    assert torch.equal(torch.get_rng_state(), before)


def test_worker_processes_give_the_samples_of_this_one(cases: StoredCases) -> None:
    samples = TrainingSamples(cases, CONFIG)
    sampler: Any = KEYS
    loader = DataLoader(samples, batch_size=None, sampler=sampler, num_workers=2)
    for key, sample in zip(KEYS, loader, strict=True):
        assert_same(sample, samples[key])


def test_image_and_lesion_move_together() -> None:
    lesion = torch.zeros(24, 24, 24, dtype=torch.bool)
    lesion[5:12, 8:15, 10:18] = True
    case = PreparedCase("a", 3.0 * lesion + 0.01, lesion, torch.ones(3))
    config = small_config(augmentation={"p": 1.0, "noise_std": 0.0, "bias_field": False})
    samples = TrainingSamples(StoredCases([case]), config)
    for repeat in range(4):
        sample = samples[SampleKey(0, 0, repeat)]
        inside = sample["lesion"] > 0
        if inside.any() and not inside.all():
            bright = sample["image"] > (sample["image"].max() + sample["image"].min()) / 2
            assert float((bright == inside).float().mean()) > 0.95


def names_of(config: AugmentationConfig, modality: str) -> list[str]:
    return [type(change).__name__ for change in augmentation(config, modality).transforms]


def test_augmentations_are_those_of_the_paper() -> None:
    everything = ["RandomAffine", "RandomFlip", "RandomNoise", "RandomBiasField"]
    assert names_of(AugmentationConfig(), "MR") == everything
    assert names_of(AugmentationConfig(), "CT") == everything[:-1], "bias fields are of MR"
    assert names_of(AugmentationConfig(bias_field=False), "MR") == everything[:-1]
    assert "RandomGamma" in names_of(AugmentationConfig(gamma=0.3), "CT")


def test_a_scan_may_be_less_sharp_while_its_lesion_stays() -> None:
    lesion = torch.zeros(32, 32, 16, dtype=torch.bool)
    lesion[8:24, 8:24, 4:12] = True
    image = lesion + 0.1 * torch.randn(lesion.shape, generator=torch.Generator().manual_seed(0))
    case = PreparedCase("a", image.clamp(min=0.01), lesion, torch.tensor([2.0, 2.0, 4.0]))
    quiet = {"p": 1.0, "noise_std": 0.0, "bias_field": False, "scales": (1.0, 1.0), "degrees": 0.0}

    def sharpness(**changes: float) -> float:
        config = small_config(
            data={"crop_size": [32, 32, 16]}, augmentation=quiet | {"flip_axes": ()} | changes
        )
        sample = TrainingSamples(StoredCases([case]), config)[SampleKey(0, 0, 0)]
        assert torch.equal(sample["lesion"][0] > 0, lesion)
        return float(sum(sample["image"][0].diff(dim=axis).abs().mean() for axis in range(3)))

    assert sharpness(blur_mm=4.0) < 0.9 * sharpness()
    assert sharpness(low_resolution=4.0) < 0.9 * sharpness()


def test_every_augmentation_has_its_own_probability() -> None:
    for probability in (0.0, 0.5, 1.0):
        changes = augmentation(AugmentationConfig(p=probability, gamma=0.3), "MR").transforms
        assert [change.probability for change in changes] == [probability] * 5


def test_without_augmentation_and_with_a_crop_of_its_size_the_scan_stays(
    cases: StoredCases,
) -> None:
    config = small_config(data={"crop_size": [32, 32, 16]}, augmentation={"p": 0.0})
    sample = TrainingSamples(cases, config)[SampleKey(0, 1, 0)]
    assert torch.equal(sample["lesion"][0] > 0, cases[1].lesion)
    image = cases[1].image
    foreground = image[image > image.mean()]
    expected = ((image - foreground.mean()) / foreground.std()).clamp(-8, 8)
    torch.testing.assert_close(sample["image"][0], expected, rtol=1e-3, atol=1e-3)


def keys_of(**options: Any) -> list[SampleKey]:
    return list(EpochSampler(options.pop("cases", 5), CONFIG, options.pop("epoch", 0), **options))


def test_an_epoch_holds_every_case_once_in_a_random_order() -> None:
    keys = keys_of(cases=20)
    assert sorted(key.case for key in keys) == list(range(20))
    assert [key.case for key in keys] != list(range(20))
    assert keys == keys_of(cases=20)
    assert [key.case for key in keys_of(cases=20, epoch=1)] != [key.case for key in keys]
    assert {key.epoch for key in keys_of(epoch=3)} == {3}


def test_an_epoch_holds_every_repeat_of_every_case() -> None:
    config = small_config(schedule={"samples_per_case": 3})
    keys = list(EpochSampler(4, config, 0))
    assert len(set(keys)) == 12
    assert {(key.case, key.repeat) for key in keys} == {(c, r) for c in range(4) for r in range(3)}


def test_an_epoch_can_start_where_it_was_left() -> None:
    assert keys_of(start=2) == keys_of()[2:]
    assert keys_of(start=5) == []


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_see_the_batches_of_one(processes: int) -> None:
    alone = keys_of(cases=8)
    batches = [set(alone[n : n + 4]) for n in range(0, 8, 4)]
    share = 4 // processes
    ranks = [keys_of(cases=8, rank=rank, processes=processes) for rank in range(processes)]
    for number, batch in enumerate(batches):
        part = slice(number * share, (number + 1) * share)
        assert set(chain.from_iterable(keys[part] for keys in ranks)) == batch


def test_processes_go_on_together_where_an_epoch_was_left() -> None:
    ranks = [keys_of(cases=8, rank=rank, processes=2, start=4) for rank in (0, 1)]
    assert {*ranks[0], *ranks[1]} == set(keys_of(cases=8)[4:])


@pytest.mark.parametrize(("cases", "processes"), [(5, 2), (5, 4), (1, 4), (3, 8)])
def test_every_process_has_as_many_samples_as_the_others(cases: int, processes: int) -> None:
    ranks = [keys_of(cases=cases, rank=rank, processes=processes) for rank in range(processes)]
    assert len({len(keys) for keys in ranks}) == 1
    assert {key.case for keys in ranks for key in keys} == set(range(cases))
    sampler = EpochSampler(cases, CONFIG, 0, rank=0, processes=processes)
    assert len(sampler) == len(ranks[0])
