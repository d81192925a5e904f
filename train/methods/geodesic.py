"""Geodesic distance from clicks: how far along the image's own terrain (Criminisi et al. 2008).

A path costs the integral of ``ε + |∇I|`` over its length in mm, so that a step across an edge is
long and one through an even region is short. Distances are found by sweeping a plane through the
volume along each axis, both ways, as FastGeodis does: every plane looks at the nine neighbours in
the plane before it. Unlike a priority queue (scikit-image's minimum-cost paths, SimpleITK's fast
marching: seconds per map) the planes of a whole batch are computed at once, and on any device,
which is what makes such maps affordable in every round of a training step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

EVEN_COST = 0.02
"""``ε``, per mm: the reach of a click in an even region is some 50 mm."""
CELL_MM = 3.0
"""Distances are computed on cells at least this large, which bounds their time and memory."""
SWEEPS = 2
"""Sweeps along all axes; FastGeodis' own number. More change little outside of mazes."""


def exponentialised_geodesic(scan: Tensor, seeds: Tensor, spacing: Tensor) -> Tensor:
    """``exp(-D)``, ``D`` being the geodesic distance to the nearest seed (Luo et al. 2021).

    Args:
        scan: Preprocessed intensities ``(N, 1, I, J, K)``.
        seeds: 1 at the clicked voxels of each map, 0 elsewhere, ``(N, M, I, J, K)``.
        spacing: Voxel sizes ``(N, 3)`` in mm.

    Returns:
        ``(N, M, I, J, K)`` float32 in [0, 1]; 0 in a map without seed.
    """
    size = (scan.shape[2], scan.shape[3], scan.shape[4])
    maps = []
    for image, marks, step in zip(scan.float(), seeds.float(), spacing.tolist(), strict=True):
        pooling = tuple(_halvings(length, count) for length, count in zip(step, size, strict=True))
        coarse_step = [length * factor for length, factor in zip(step, pooling, strict=True)]
        coarse = nn.functional.avg_pool3d(image, pooling, ceil_mode=True)[0]
        coarse_marks = nn.functional.max_pool3d(marks, pooling, ceil_mode=True) > 0
        cost = EVEN_COST + gradient_magnitude(coarse, coarse_step)
        closeness = torch.exp(-geodesic_distance(cost, coarse_marks, coarse_step))
        maps.append(nn.functional.interpolate(closeness[None], size=size, mode="trilinear")[0])
    return torch.stack(maps)


def geodesic_distance(
    cost: Tensor, seeds: Tensor, spacing: list[float], sweeps: int = SWEEPS
) -> Tensor:
    """Cost of the cheapest path from every voxel to the nearest seed, 26-connected.

    A step costs its length in mm times the mean cost of the two voxels.

    Args:
        cost: Cost per mm ``(I, J, K)``, above 0.
        seeds: Bool ``(M, I, J, K)``, one map each.
        spacing: Voxel size in mm.
        sweeps: How often all axes are swept; enough of them give the exact minimum.

    Returns:
        ``(M, I, J, K)`` float32; infinite in a map without seed.
    """
    distance = torch.where(seeds, 0.0, torch.inf).float()
    for _ in range(sweeps):
        for axis in range(3):
            across = [spacing[other] for other in range(3) if other != axis]
            lengths = _step_lengths(spacing[axis], across).to(cost.device)
            # Planes of the swept axis first; both are views, so that the sweeps write in place.
            planes = distance.movedim(axis + 1, 0)
            costs = cost.movedim(axis, 0)
            forward = range(1, len(planes))
            for here in forward:
                _relax(planes, costs, here, here - 1, lengths)
            for here in reversed(forward):
                _relax(planes, costs, here - 1, here, lengths)
    return distance


def gradient_magnitude(image: Tensor, spacing: list[float]) -> Tensor:
    """``|∇I|`` per mm of ``(I, J, K)``; an axis of one voxel has no gradient."""
    squared = torch.zeros_like(image)
    for axis, step in enumerate(spacing):
        if image.shape[axis] > 1:
            (slope,) = torch.gradient(image, spacing=step, dim=axis)
            squared += slope**2
    return squared.sqrt()


def _relax(planes: Tensor, costs: Tensor, here: int, there: int, lengths: Tensor) -> None:
    """Offer every voxel of one plane the way through its nine neighbours in the plane beside it."""
    pad = (1, 1, 1, 1)
    reached = nn.functional.pad(planes[there], pad, value=torch.inf)
    passed = nn.functional.pad(costs[there], pad, value=0.0)
    neighbours = reached.unfold(1, 3, 1).unfold(2, 3, 1)
    mean = (passed.unfold(0, 3, 1).unfold(1, 3, 1) + costs[here][..., None, None]) / 2
    offers = (neighbours + mean * lengths).amin(dim=(-2, -1))
    planes[here] = torch.minimum(planes[here], offers)


def _step_lengths(along: float, across: list[float]) -> Tensor:
    """Lengths in mm ``(3, 3)`` of the steps to the nine neighbours in the next plane."""
    return torch.tensor(
        [
            [math.hypot(along, down * across[0], right * across[1]) for right in (-1, 0, 1)]
            for down in (-1, 0, 1)
        ]
    )


def _halvings(step_mm: float, size: int) -> int:
    """Smallest power of two that makes voxels at least :data:`CELL_MM` large."""
    factor = 1
    while step_mm * factor < CELL_MM and factor < size:
        factor *= 2
    return factor
