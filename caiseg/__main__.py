"""``python -m caiseg``: segment a scan, or replay a session, from a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from caiseg import CAISegPredictor, Click, InvalidInput, Label, Volume, load_volume, replay_clicks
from caiseg.annotation.session_file import SessionFile, replay_session
from caiseg.freed_memory import keep_freed_memory

CheckpointOption = Annotated[Path, typer.Option(help="A .safetensors checkpoint.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
OutOption = Annotated[Path, typer.Option(help="Where the mask goes, .nii or .nii.gz.")]
VolumeOption = Annotated[
    int | None, typer.Option("--volume", help="Which volume of a 4-D scan, from 0.")
]
SeriesOption = Annotated[
    str | None, typer.Option(help="UID or description of the DICOM series, of several.")
]


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Outline lesions in 3-D scans. A scan in place of a command is segmented.",
)


def parse_click(text: str) -> Click:
    """Read ``i,j,k,fg`` or ``i,j,k,bg``.

    Raises:
        InvalidInput: The text is no click.
    """
    parts = text.split(",")
    try:
        i, j, k = (int(part) for part in parts[:3])
        (label,) = parts[3:]
    except ValueError:
        raise InvalidInput(
            f"'{text}' is not a click; write i,j,k,fg or i,j,k,bg, for example 40,52,17,fg."
        ) from None
    return Click((i, j, k), Label.parse(label))


@app.command()
def segment(
    scan: Annotated[Path, typer.Argument(help="NIfTI, NRRD, MHA or a zipped DICOM series.")],
    checkpoint: CheckpointOption,
    out: OutOption,
    clicks: Annotated[
        list[str] | None,
        typer.Option("--click", help="i,j,k,fg or i,j,k,bg, in time order; may be repeated."),
    ] = None,
    volume: VolumeOption = None,
    series: SeriesOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Outline the lesion in SCAN and write its mask in the scan's own geometry.

    Clicks are voxel indices (i, j, k) of the scan in closest canonical (RAS+) orientation, as
    the app's read-out shows them. Without a click the first mask is written.
    """
    placed = [parse_click(text) for text in clicks or ()]
    opened = _open(scan, volume, series)
    predictor = CAISegPredictor.from_checkpoint(checkpoint, device)
    *_, result = replay_clicks(predictor, predictor.encode(opened), placed)
    opened.save_mask(result.mask, out)
    voxels = int(result.mask.sum())
    typer.echo(f"{out}: {voxels} voxels, {_millilitres(voxels, opened):.1f} mL")


@app.command()
def replay(
    session: Annotated[Path, typer.Argument(help="A session file (.json) that the app saved.")],
    scan: Annotated[Path, typer.Option(help="The scan that was annotated.")],
    checkpoint: CheckpointOption,
    out: OutOption,
    volume: VolumeOption = None,
    series: SeriesOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Do everything in SESSION again and write the mask that it led to, as the app saves it.

    The n-th object of the list has label n. Another scan or checkpoint than those of the session
    are refused, because the mask would be another one.
    """
    document = SessionFile.read(session)
    opened = _open(scan, volume, series)
    predictor = CAISegPredictor.from_checkpoint(checkpoint, device)
    scene = replay_session(document, opened, predictor).scene
    opened.save_mask(scene.labels, out)
    for label, item in enumerate(scene.objects, start=1):
        voxels = scene.masks[item.object_id].voxels
        typer.echo(
            f"{out}: {label} {item.name}, {voxels} voxels, {_millilitres(voxels, opened):.1f} mL"
        )


def _open(scan: Path, volume: int | None, series: str | None) -> Volume:
    opened = load_volume(scan, volume_index=volume, series=series)
    for notice in opened.notices:
        typer.echo(notice, err=True)
    return opened


def _millilitres(voxels: int, volume: Volume) -> float:
    i, j, k = volume.spacing
    return voxels * i * j * k / 1000


def main() -> None:
    """Run the command; what a person can cause ends in one sentence, not a traceback."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] not in ("segment", "replay", "--help"):
        arguments = ["segment", *arguments]
    keep_freed_memory()
    try:
        app(arguments)
    except InvalidInput as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
