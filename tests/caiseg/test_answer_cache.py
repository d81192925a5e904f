"""A click runs the patches that it changes; the others give what they gave, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from caiseg.network import CAISeg
from caiseg.network_config import THICK_SLICES, NetworkConfig
from caiseg.tiling import EncodedTiles

SHAPE = (108, 32, 16)
PATCH = (32, 32, 16)
SPACING = torch.tensor([1.5, 1.5, 4.0])

# Each lies in one of the five patches alone, but for the last, which two have in common.
CLICKS = [(5, 5, 5), (34, 20, 8), (54, 9, 3), (72, 30, 2), (100, 8, 15), (8, 25, 9), (64, 4, 4)]
LABELS = [1, 0, 1, 1, 0, 0, 1]


@pytest.fixture(scope="module")
def network() -> CAISeg:
    torch.manual_seed(0)
    config = NetworkConfig(
        base_channels=2, kernel_size=3, strides=THICK_SLICES, attention_heads=(4, 4, 2, 2),
        affinity_heads=2, position="mm", alpha=(4.0,), query_scale=0.3,
    )  # fmt: skip
    network = CAISeg(config).eval()
    torch.nn.init.normal_(network.interaction.clustering.mask_fusion.weight, std=0.3)
    return network.requires_grad_(False)


@pytest.fixture(params=[False, True], ids=["blockwise", "dense"])
def tiles(network: CAISeg, request: pytest.FixtureRequest) -> EncodedTiles:
    return encoded(network, dense=request.param)


def encoded(network: CAISeg, *, dense: bool = False) -> EncodedTiles:
    image = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    return EncodedTiles(network, image, SPACING, PATCH, dense=dense)


def ask(tiles: EncodedTiles, count: int, mask: Tensor) -> Tensor:
    """The answer to the first clicks."""
    voxels, labels = torch.tensor(CLICKS[:count]), torch.tensor(LABELS[:count])
    return tiles.blend(tiles.answer(voxels, labels, mask))


@pytest.fixture
def runs(network: CAISeg) -> Iterator[list[Any]]:
    """Grows by one with each patch that is run."""
    run: list[Any] = []
    handle = network.interaction.clustering.register_forward_hook(lambda *_: run.append(None))
    yield run
    handle.remove()


def test_every_click_runs_the_patches_that_contain_it_and_no_other(
    network: CAISeg, tiles: EncodedTiles, runs: list[Any]
) -> None:
    assert len(tiles.tiles) == 5
    mask = (torch.randn(SHAPE, generator=torch.Generator().manual_seed(2)) > 1).float()
    for count, containing in zip(range(1, 8), (1, 1, 1, 1, 1, 1, 2), strict=True):
        runs.clear()
        answer = ask(tiles, count, mask)
        assert len(runs) == containing
        assert torch.equal(answer, ask(encoded(network, dense=tiles.dense), count, mask))


def test_a_patch_whose_part_of_the_previous_mask_changes_is_run_again(
    network: CAISeg, tiles: EncodedTiles, runs: list[Any]
) -> None:
    mask = torch.zeros(SHAPE)
    ask(tiles, 5, mask)
    for place, containing in (((2, 2, 2), 1), ((25, 2, 2), 2), ((107, 31, 15), 1)):
        mask = mask.clone()
        mask[place] = 1
        runs.clear()
        answer = ask(tiles, 5, mask)
        assert len(runs) == containing
        assert torch.equal(answer, ask(encoded(network, dense=tiles.dense), 5, mask))


def test_writing_to_a_mask_that_was_asked_with_changes_no_answer(
    network: CAISeg, tiles: EncodedTiles
) -> None:
    mask = torch.zeros(SHAPE)
    ask(tiles, 5, mask)
    mask[:, 4:20] = 1
    assert torch.equal(ask(tiles, 5, mask), ask(encoded(network, dense=tiles.dense), 5, mask))


def test_no_history_of_questions_changes_an_answer(network: CAISeg, tiles: EncodedTiles) -> None:
    masks = [torch.zeros(SHAPE), torch.ones(SHAPE)]
    questions = [(count, which) for count in range(1, 8) for which in (0, 1)]
    fresh = {
        (count, which): ask(encoded(network, dense=tiles.dense), count, masks[which])
        for count, which in questions
    }
    random.Random(0).shuffle(questions)
    for count, which in questions * 2:
        assert torch.equal(ask(tiles, count, masks[which]), fresh[count, which])


def test_threads_that_ask_at_once_all_get_their_own_answer(network: CAISeg) -> None:
    tiles, mask = encoded(network), torch.zeros(SHAPE)
    counts = [1 + n % 7 for n in range(42)]
    fresh = {count: ask(encoded(network), count, mask) for count in set(counts)}
    with ThreadPoolExecutor(4) as people:
        answers = list(people.map(lambda count: ask(tiles, count, mask), counts))
    for count, answer in zip(counts, answers, strict=True):
        assert torch.equal(answer, fresh[count])


def test_answers_are_counted_in_bytes_and_do_not_pile_up(tiles: EncodedTiles) -> None:
    before = tiles.nbytes
    ask(tiles, 7, torch.zeros(SHAPE))
    held = tiles.nbytes
    patch = tiles.tiles[0].padded_logits.nbytes
    assert held - before > 5 * 2 * patch, "logits and mask of each patch at least"
    for count in range(7, 0, -1):
        ask(tiles, count, torch.full(SHAPE, count / 7))
    assert tiles.nbytes == held
