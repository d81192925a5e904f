"""What a later object may take beside those that are accepted already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from caiseg.annotation.packed_mask import BoolArray, PackedMask, triple
from caiseg.clicks import Click, Label

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


def without_known_lesions(
    answer: PackedMask,
    accepted: Sequence[PackedMask],
    clicks: Sequence[Click],
    painted: PackedMask,
) -> PackedMask:
    """What the network outlines for a new object, less what it outlines of accepted ones again.

    A network that is trained to find every lesion finds those that are accepted, too, and seldom
    with the same border. So voxels of accepted objects are left out, and so is each 26-connected
    component of the rest that touches an accepted object, by a face, an edge or a corner of a
    voxel, and holds neither a foreground click nor a painted voxel of the new one.

    Args:
        answer: The network's mask.
        accepted: The masks of the accepted objects.
        clicks: The clicks of the new object.
        painted: The voxels that were painted by hand for it.
    """
    # A border of one voxel, because what touches the answer need not lie in its box.
    low = np.maximum(np.subtract(answer.start, 1), 0)
    high = np.minimum(np.add(answer.start, answer.size) + 1, answer.shape)
    taken: BoolArray = np.zeros(tuple(high - low), dtype=bool)
    for mask in accepted:
        taken |= mask.part(triple(low), triple(high))
    if answer.voxels == 0 or not taken.any():
        return answer
    rest = answer.part(triple(low), triple(high)) & ~taken
    labels, _ = ndimage.label(rest, _NEIGHBOURS)
    touching = labels[ndimage.binary_dilation(taken, _NEIGHBOURS)]
    own = labels[painted.part(triple(low), triple(high))]
    inside = [
        np.subtract(click.voxel, low)
        for click in clicks
        if click.label is Label.FOREGROUND
        and np.all(np.greater_equal(click.voxel, low))
        and np.all(np.less(click.voxel, high))
    ]
    clicked = [labels[tuple(voxel)] for voxel in inside]
    dropped = np.setdiff1d(touching, [*np.unique(own), *clicked])
    return PackedMask.pack_crop(rest & ~np.isin(labels, dropped), triple(low), answer.shape)
