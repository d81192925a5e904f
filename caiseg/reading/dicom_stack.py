"""Stacking the images of a DICOM series into volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caiseg.errors import InvalidInput
from caiseg.reading.dicom_slices import Slice
from caiseg.reading.itk import LPS_TO_RAS
from caiseg.reading.scan import FloatArray

SAME_PLACE_MM = 1e-2
MAX_UNEVENNESS = 0.05
"""How far a slice may lie from its place in an even stack, relative to the slice distance."""


@dataclass(frozen=True, eq=False)
class Stack:
    """One volume.

    Attributes:
        slices: Its images, ordered along their normal.
        affine: 4x4 matrix from voxel (column, row, slice) to world coordinates in mm, RAS+.
    """

    slices: list[Slice]
    affine: FloatArray


def stack_slices(slices: list[Slice]) -> list[Stack]:
    """Sort the images of one series by place, and by time where several share each place.

    The affine follows equation C.7.6.2.1-1 of the DICOM standard (part 3) and takes the step
    between slices from their positions, so a tilted gantry gives the sheared matrix it should.

    Raises:
        InvalidInput: The images differ in size or orientation, or do not fill a regular grid.
    """
    slices = list({image.uid: image for image in slices}.values())
    first = slices[0]
    for image in slices:
        image.check_plain()
        _check_alike(first, image)
    distances = np.array([image.position @ first.normal for image in slices])
    numbers = np.array([image.number for image in slices])
    order = np.lexsort((numbers, distances))
    places = np.split(order, np.flatnonzero(np.diff(distances[order]) > SAME_PLACE_MM) + 1)
    if len({len(place) for place in places}) != 1:
        raise InvalidInput(
            "Some slices of the DICOM series are there more often than others; export the series "
            "again, complete."
        )
    times = [[slices[place[time]] for place in places] for time in range(len(places[0]))]
    return [Stack(images, _affine(images)) for images in times]


def _check_alike(first: Slice, image: Slice) -> None:
    alike = (
        image.size == first.size
        and image.pixel_type == first.pixel_type
        and np.allclose(image.orientation, first.orientation, atol=1e-3)
        and np.allclose(image.pixel_spacing, first.pixel_spacing, rtol=1e-3)
    )
    if not alike:
        raise InvalidInput(
            "The DICOM series mixes images of different size, type or orientation (a scout, "
            "perhaps); zip only the slices of one volume."
        )


def _affine(images: list[Slice]) -> FloatArray:
    first = images[0]
    affine = np.eye(4)
    affine[:3, :2] = first.orientation.T * first.pixel_spacing
    affine[:3, 2] = _slice_step(images)
    affine[:3, 3] = first.position
    return LPS_TO_RAS @ affine


def _slice_step(images: list[Slice]) -> FloatArray:
    """Vector in mm, LPS, from one slice to the next."""
    first = images[0]
    if len(images) == 1:
        return first.normal * (first.thickness or 1.0)
    positions = np.array([image.position for image in images])
    step: FloatArray = (positions[-1] - positions[0]) / (len(images) - 1)
    expected = positions[0] + np.arange(len(images))[:, np.newaxis] * step
    deviation = np.linalg.norm(positions - expected, axis=1).max()
    if deviation > MAX_UNEVENNESS * np.linalg.norm(step):
        raise InvalidInput(
            "The slices of the DICOM series are not evenly spaced, so one may be missing; export "
            "the series again, complete."
        )
    return step
