"""What somebody sees on a view."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.browser import Person, Voxel


def rgb(person: Person, plane: str, voxel: Voxel, shape: Voxel) -> npt.NDArray[np.int64]:
    """Colour of a voxel's middle, when its slice is on screen."""
    box = person.canvas(plane).bounding_box()
    assert box is not None
    x, y = person.position(plane, voxel, shape)
    pixel = person.pixels(plane)[int(y - box["y"]), int(x - box["x"]), :3]
    return pixel.astype(np.int64)


def only_the_scan(person: Person) -> None:
    """Neither mask nor crosshair, and voxels as they are."""
    for role in ("mask", "cross", "smooth"):
        if person.role(role).get_attribute("aria-pressed") == "true":
            person.role(role).click()
    person.page.mouse.move(5, 5)
