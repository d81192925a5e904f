"""What a person can take away from a scan, each as one file."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Literal

from app.measurements import Measurement, measure_all
from app.saved_masks import Layout, file_part, save_masks
from app.surface_files import SurfaceFormat, write_surface
from caiseg import InvalidInput, Volume
from caiseg.annotation.objects import Scene
from caiseg.annotation.session_file import SessionFile

FileKind = Literal[Layout, SurfaceFormat, "csv", "session"]
"""Masks (see :data:`app.saved_masks.Layout`), surfaces, measurements, or the session."""

_COLUMNS = (
    "scan_sha256",
    "object",
    "volume_ml",
    "longest_axial_diameter_mm",
    "perpendicular_diameter_mm",
    "diameter_slice_k",
    "components",
    "mean_intensity",
    "clicks",
    "checkpoint",
)


def export(
    kind: FileKind, scene: Scene, volume: Volume, name: str, session: SessionFile, folder: Path
) -> Path:
    """Write one file.

    Args:
        kind: What to write.
        scene: The objects.
        volume: The scan.
        name: Its name, for the files.
        session: What led to the objects.
        folder: Where to.

    Raises:
        InvalidInput: There is nothing to write.
    """
    match kind:
        case "labels" | "masks":
            return save_masks(scene, volume, name, kind, folder)
        case "stl" | "ply":
            return _surfaces(scene, volume, name, kind, folder)
        case "csv":
            path = folder / f"{name}_measurements.csv"
            write_measurements(measure_all(scene, volume.grid, volume.data), session, path)
            return path
        case "session":
            path = folder / f"{name}_session.json"
            session.write(path)
            return path


def write_measurements(found: list[Measurement], session: SessionFile, path: Path) -> None:
    """Write one row for each object, under a row of column names.

    The scan is named by its hash, because a file name may be a patient's.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for row in found:
            sizes = row.diameters
            writer.writerow(
                [
                    session.scan.sha256,
                    # A leading "=" would be a formula to a spreadsheet.
                    row.name if row.name[0] not in "=+-@" else f"'{row.name}",
                    f"{row.millilitres:.4f}",
                    f"{sizes.longest_mm:.2f}" if sizes else "",
                    f"{sizes.perpendicular_mm:.2f}" if sizes else "",
                    sizes.slice if sizes else "",
                    row.components,
                    "" if row.mean_intensity is None else f"{row.mean_intensity:.6g}",
                    row.clicks,
                    session.checkpoint.name,
                ]
            )


def _surfaces(scene: Scene, volume: Volume, name: str, suffix: SurfaceFormat, folder: Path) -> Path:
    """The surface of the one object that has voxels, or a ``.zip`` file with those of all."""
    filled = [
        (label, item, scene.masks[item.object_id])
        for label, item in enumerate(scene.objects, start=1)
        if scene.masks[item.object_id].voxels
    ]
    if not filled:
        raise InvalidInput("All masks are empty, so there is no surface; click on a lesion first.")
    paths = []
    for label, item, mask in filled:
        path = folder / f"{name}_{label}_{file_part(item.name)}.{suffix}"
        write_surface(mask, volume.grid, path)
        paths.append(path)
    if len(paths) == 1:
        return paths[0]
    archive = folder / f"{name}_surfaces.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in paths:
            bundle.write(path, path.name)
            path.unlink()
    return archive
