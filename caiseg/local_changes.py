"""A click changes the mask near itself, the farther the deeper it lies in what is wrong.

A click corrects what the mask before shows at its place, and how far it lies from that mask's
border says how much of it is wrong: somebody who clicks 2 mm beside a border moves it there, and
somebody who clicks in the middle of a tumour that was missed wants all of it. What the network
changes farther away is more often spoilt than mended, and nobody had asked for it.

Clicks that the mask before obeys already have had their say. So the rule follows from clicks and
mask alone, in whatever order the clicks are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from caiseg.boxes import Box, around, meeting, relative
from caiseg.clicks import Click, Label
from caiseg.grids import Shape, Spacing

Mask = npt.NDArray[np.bool_]

TIMES_DEPTH = 4.0
"""A click changes the mask within so many times its distance from the border of the mask before,"""
MARGIN_MM = 5.0
"""and so much farther."""
_FIRST_LOOK = 8
"""Voxels to every side among which the border is looked for first; then twice as many, and on."""


def keep_changes_local(
    mask: Mask, clicks: Sequence[Click], before: Mask, spacing: Spacing, part: Box
) -> None:
    """Take back, in place, what changed far from the clicks that the mask before disobeys.

    Nothing is taken back where there is no such click, or no border to tell its depth by.

    Args:
        mask: ``(I, J, K)``.
        clicks: All clicks that it answers.
        before: ``S_p``, the mask that they correct, ``(I, J, K)``.
        spacing: Voxel size ``(i, j, k)`` in mm.
        part: Box beyond which clicks change nothing.
    """
    disobeyed = [c for c in clicks if bool(before[c.voxel]) != (c.label is Label.FOREGROUND)]
    near = np.zeros([axis.stop - axis.start for axis in part], dtype=bool)
    for click in disobeyed:
        reach = TIMES_DEPTH * _depth(before, click.voxel, spacing, part) + MARGIN_MM
        box = part if math.isinf(reach) else around(click.voxel, reach, spacing, mask.shape)
        inside = meeting(box, part)
        if inside is not None:
            near[relative(inside, part)] |= _distances(click.voxel, spacing, inside) <= reach**2
    if disobeyed:
        np.copyto(mask[part], before[part], where=~near)


def _depth(mask: Mask, voxel: Shape, spacing: Spacing, part: Box) -> float:
    """Distance in mm from a voxel to the nearest of the other label; infinite without one."""
    looked = _FIRST_LOOK
    while True:
        far = looked * min(spacing)
        box = meeting(around(voxel, far, spacing, mask.shape), part) or part
        others = mask[box] != mask[voxel]
        nearest = math.inf
        if others.any():
            nearest = math.sqrt(_distances(voxel, spacing, box)[others].min())
        if nearest <= far or box == part:
            return nearest
        looked *= 2


def _distances(voxel: Shape, spacing: Spacing, box: Box) -> npt.NDArray[np.float64]:
    """Squared distances in mm² from a voxel to those of a box."""
    i, j, k = (
        ((np.arange(axis.start, axis.stop) - place) * step) ** 2
        for axis, place, step in zip(box, voxel, spacing, strict=True)
    )
    squares: npt.NDArray[np.float64] = i[:, None, None] + j[:, None] + k
    return squares
