"""Geodesic distances against Dijkstra's algorithm, and what they are made for."""

from __future__ import annotations

import heapq
import itertools
import math

import numpy as np
import pytest
import torch

from train.methods.geodesic import (
    CELL_MM,
    EVEN_COST,
    exponentialised_geodesic,
    geodesic_distance,
)

SHAPE = (6, 5, 4)
SPACING = [1.0, 2.0, 3.5]


def dijkstra(cost: np.ndarray, seeds: np.ndarray, spacing: list[float]) -> np.ndarray:
    """26-connected, a step costing its length times the mean cost of its ends."""
    distance = np.where(seeds, 0.0, np.inf)
    queue = [(0.0, tuple(place)) for place in np.argwhere(seeds).tolist()]
    heapq.heapify(queue)
    while queue:
        reached, here = heapq.heappop(queue)
        if reached > distance[here]:
            continue
        for step in itertools.product((-1, 0, 1), repeat=3):
            there = tuple(place + move for place, move in zip(here, step, strict=True))
            if any(not 0 <= place < size for place, size in zip(there, cost.shape, strict=True)):
                continue
            length = math.hypot(*(move * mm for move, mm in zip(step, spacing, strict=True)))
            offer = reached + length * (cost[here] + cost[there]) / 2
            if offer < distance[there]:
                distance[there] = offer
                heapq.heappush(queue, (offer, there))
    return distance


@pytest.mark.parametrize("seed", range(4))
def test_enough_sweeps_give_the_cheapest_paths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0.05, 3.0, SHAPE)
    seeds = np.zeros((2, *SHAPE), dtype=bool)
    seeds[0, 1, 2, 3] = seeds[1, 0, 0, 0] = seeds[1, 5, 4, 1] = True
    found = geodesic_distance(
        torch.from_numpy(cost).float(), torch.from_numpy(seeds), SPACING, sweeps=6
    )
    for number in range(2):
        exact = dijkstra(cost, seeds[number], SPACING)
        assert found[number].numpy() == pytest.approx(exact, rel=1e-5)


def test_the_sweeps_of_training_never_fall_short_and_come_close() -> None:
    rng = np.random.default_rng(9)
    cost = rng.uniform(0.05, 3.0, SHAPE)
    seeds = np.zeros((1, *SHAPE), dtype=bool)
    seeds[0, 1, 2, 3] = True
    found = geodesic_distance(torch.from_numpy(cost).float(), torch.from_numpy(seeds), SPACING)
    exact = dijkstra(cost, seeds[0], SPACING)
    assert (found[0].numpy() >= exact - 1e-4).all()
    reached = exact > 0
    assert np.mean(found[0].numpy()[reached] / exact[reached]) < 1.02, "in noise, the worst case"


def block_scan() -> torch.Tensor:
    """A bright block in the middle of a dark scan, voxels of 4 mm."""
    scan = torch.zeros(1, 1, 24, 20, 12)
    scan[..., 6:18, 5:15, 3:9] = 5.0
    return scan


SEEDS = torch.zeros(1, 2, 24, 20, 12)
SEEDS[0, 1, 12, 10, 6] = 1
STEPS = torch.tensor([[4.0, 4.0, 4.0]])


def test_a_click_lights_up_its_even_region_and_stops_at_the_edge() -> None:
    closeness = exponentialised_geodesic(block_scan(), SEEDS, STEPS)[0, 1]
    inside = closeness[9:15, 8:12, 5:7]
    assert inside.min() > 3 * closeness[2, 2, 1]
    assert closeness[12, 10, 6] == 1
    even = math.exp(-EVEN_COST * 8)
    assert closeness[14, 10, 6] == pytest.approx(even, rel=1e-4), "two voxels of 4 mm away"


def test_a_map_without_seed_is_empty() -> None:
    closeness = exponentialised_geodesic(block_scan(), SEEDS, STEPS)
    assert not closeness[0, 0].any()
    assert not exponentialised_geodesic(block_scan(), torch.zeros_like(SEEDS), STEPS).any()


def test_fine_voxels_are_computed_on_a_coarser_grid_and_keep_their_click() -> None:
    steps = torch.tensor([[CELL_MM / 2, CELL_MM / 2, CELL_MM]])
    closeness = exponentialised_geodesic(block_scan(), SEEDS, steps)[0]
    assert closeness.shape == SEEDS.shape[1:]
    assert closeness[1, 12, 10, 6] > 0.8
    assert float(closeness[1].max()) <= 1
