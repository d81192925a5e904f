"""A zip archive with one DICOM series."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

from caiseg.errors import InvalidInput, Series, SeveralSeries
from caiseg.private_folders import private_folder
from caiseg.reading.archive import extract_dicom
from caiseg.reading.dicom_pixels import read_pixels
from caiseg.reading.dicom_slices import Slice, read_slice
from caiseg.reading.dicom_stack import stack_slices
from caiseg.reading.geometry import check_affine, choose_volume
from caiseg.reading.limits import Limits
from caiseg.reading.scan import NativeGeometry, RawScan

MAX_BYTES_PER_VOXEL = 4
SERIES_LISTED = 8


def read_dicom_archive(
    path: Path, *, series: str | None, volume_index: int | None, limits: Limits
) -> RawScan:
    """Read one volume of a DICOM series.

    Args:
        path: A ``.zip`` file; folders in it, and files that are no DICOM images, do no harm.
        series: UID or description of the series, where there are several.
        volume_index: Which image to take at each slice position, where there are several.
        limits: How large the series may be.

    Raises:
        SeveralSeries: It holds several, and ``series`` names none of them.
        InvalidInput: The archive is damaged or hostile, or does not hold one regular series.
    """
    with private_folder() as folder:
        files = extract_dicom(path, folder, limits.voxels * MAX_BYTES_PER_VOXEL)
        if not files:
            raise InvalidInput(
                "The zip archive holds no DICOM image; zip the folder of one DICOM series."
            )
        slices = _choose_series([read_slice(file) for file in files], series)
        columns, rows = slices[0].size
        limits.check_size((columns, rows, len(slices)))
        stacks = stack_slices(slices)
        index = choose_volume(len(stacks), volume_index)
        stack = stacks[index]
        notices = check_affine(stack.affine)
        shape = (columns, rows, len(stack.slices))
        # As it is read, and again in the order of the display grid.
        limits.check_memory(shape, 2 * MAX_BYTES_PER_VOXEL * math.prod(shape))
        voxels, rounding = read_pixels(stack.slices)
        notices += rounding.notices
    if len(stacks) > 1 and volume_index is None:
        notices.append(
            f"The series holds {len(stacks)} images at each position; the first of each is used."
        )
    native = NativeGeometry(format="dicom", shape=voxels.shape, affine=stack.affine)
    return RawScan(voxels, stack.affine, native, notices, volumes=len(stacks))


def _choose_series(slices: list[Slice], wanted: str | None) -> list[Slice]:
    found: dict[str, list[Slice]] = defaultdict(list)
    for image in slices:
        if image.has_pixels:
            found[image.series].append(image)
    if not found:
        raise InvalidInput(
            "The DICOM files hold no pixel data (reports or outlines, perhaps); zip the images."
        )
    if wanted is not None:
        matching = [
            images for uid, images in found.items() if wanted in (uid, images[0].description)
        ]
        if len(matching) == 1:
            return matching[0]
    elif len(found) == 1:
        return next(iter(found.values()))
    listed = [
        f"{uid} ({images[0].description or 'no description'}, {len(images)} images)"
        for uid, images in list(found.items())[:SERIES_LISTED]
    ]
    listed += ["…"] if len(found) > SERIES_LISTED else []
    problem = f"no single series '{wanted}' among" if wanted is not None else "several series:"
    raise SeveralSeries(
        f"The zip archive holds {problem} {', '.join(listed)}; choose one, or zip it alone.",
        tuple(Series(uid, images[0].description, len(images)) for uid, images in found.items()),
    )
