"""STL and PLY files hold a closed surface round the mask, in mm of the scan's world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.surface_files import write_surface
from caiseg import InvalidInput
from caiseg.annotation.packed_mask import PackedMask
from caiseg.grids import Grid

# Oblique, anisotropic, and far from the origin.
GRID = Grid(
    (20, 30, 12),
    np.array([[0.9, -0.3, 0.1, -70], [0.3, 1.4, 0.2, 15], [-0.1, 0.1, 3.0, 200], [0, 0, 0, 1.0]]),
)


def two_blocks() -> npt.NDArray[np.bool_]:
    mask = np.zeros(GRID.shape, bool)
    mask[3:9, 10:20, 2:7] = True
    # At the corner of the scan, where the surface must still close.
    mask[17:, 25:, 9:] = True
    return mask


def read_stl(path: Path) -> npt.NDArray[np.float32]:
    """Corners ``(n, 3, 3)`` of the triangles."""
    content = path.read_bytes()
    assert b"RAS+" in content[:80]
    assert not content.startswith(b"solid"), "readers would take it for a text file"
    facets = np.frombuffer(
        content[84:],
        dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")],
    )
    assert len(facets) == int.from_bytes(content[80:84], "little")
    corners: npt.NDArray[np.float32] = facets["corners"]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.all(np.einsum("ij,ij->i", normals, facets["normal"]) >= 0)
    return corners


def read_ply(path: Path) -> npt.NDArray[np.float32]:
    """Corners ``(n, 3, 3)`` of the triangles."""
    header, content = path.read_bytes().split(b"end_header\n", 1)
    assert b"RAS+" in header
    vertices, faces = (
        int(line.split()[-1]) for line in header.splitlines() if line.startswith(b"element")
    )
    points = np.frombuffer(content, "<f4", 3 * vertices).reshape(-1, 3)
    indices = np.frombuffer(
        content[12 * vertices :], dtype=[("count", "u1"), ("corners", "<i4", 3)]
    )
    assert len(indices) == faces
    assert set(indices["count"]) == {3}
    corners: npt.NDArray[np.float32] = points[indices["corners"]]
    return corners


READERS = {"stl": read_stl, "ply": read_ply}


@pytest.mark.parametrize("suffix", READERS)
def test_the_surface_is_closed_turned_outward_and_as_large_as_the_mask(
    suffix: str, tmp_path: Path
) -> None:
    mask, path = two_blocks(), tmp_path / f"lesion.{suffix}"
    write_surface(PackedMask.pack(mask), GRID, path)
    corners = READERS[suffix](path).astype(float)
    # Gauss: the signed volume is right only if nothing is open and no triangle is turned over.
    corners -= corners.mean(axis=(0, 1))
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    expected = mask.sum() * np.linalg.det(GRID.affine[:3, :3])
    assert volume == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("suffix", READERS)
def test_the_surface_lies_halfway_to_the_voxels_outside_in_ras(suffix: str, tmp_path: Path) -> None:
    mask = np.zeros(GRID.shape, bool)
    mask[4, 5, 6] = True
    path = tmp_path / f"voxel.{suffix}"
    write_surface(PackedMask.pack(mask), GRID, path)
    found = np.unique(READERS[suffix](path).reshape(-1, 3), axis=0)
    steps = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    expected = np.unique(GRID.voxel_to_world(np.array([4, 5, 6]) + steps).astype("f4"), axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_empty_mask_has_no_surface(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        write_surface(PackedMask.empty(GRID.shape), GRID, tmp_path / "nothing.stl")
