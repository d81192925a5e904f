"""No piece that nobody asked for, where a network outlines whatever is clicked.

Such a network answers a click on one of two things that look alike with a little of the other. A
piece that a click brings in stands when a foreground click lies in it or it touches the mask that
the clicks correct; what that mask held before is never taken away for being in pieces.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from caiseg.boxes import grown, occupied
from caiseg.clicks import Click, Label

Mask = npt.NDArray[np.bool_]

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def keep_clicked_pieces(mask: Mask, clicks: Sequence[Click], before: Mask | None) -> None:
    """Take out of a mask, in place, the pieces that nobody asked for.

    Voxels that share a corner hang together.

    Args:
        mask: ``(I, J, K)``.
        clicks: All clicks that it answers.
        before: ``S_p``, the mask that they correct, ``(I, J, K)``; ``None`` for an empty one.
    """
    held = occupied(mask)
    if held is None:
        return
    inside = mask[held]
    known = np.zeros_like(inside) if before is None else before[held]
    gained = occupied(inside & ~known)
    if gained is None:
        return
    around = grown(gained, (1, 1, 1), inside.shape)
    part = inside[around]
    pieces, count = ndimage.label(part, _NEIGHBOURS)
    wanted = np.zeros(count + 1, dtype=bool)
    wanted[pieces[known[around]]] = True
    corner = [one.start + two.start for one, two in zip(held, around, strict=True)]
    for click in clicks:
        place = tuple(np.subtract(click.voxel, corner))
        if click.label is Label.FOREGROUND and _is_index(place, part.shape):
            wanted[pieces[place]] = True
    wanted[0] = False
    part &= wanted[pieces]


def _is_index(place: Sequence[int], shape: Sequence[int]) -> bool:
    return all(0 <= index < size for index, size in zip(place, shape, strict=True))
