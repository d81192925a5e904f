"""``python -m caiseg``: segment a scan from a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from caiseg import CAISegPredictor, Click, InvalidInput, Label, load_volume, replay_clicks

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


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
    checkpoint: Annotated[Path, typer.Option(help="A .safetensors checkpoint.")],
    out: Annotated[Path, typer.Option(help="Where the mask goes, .nii or .nii.gz.")],
    click: Annotated[
        list[str] | None,
        typer.Option(help="i,j,k,fg or i,j,k,bg, in time order; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Outline the lesion in SCAN and write its mask in the scan's own geometry.

    Clicks are voxel indices (i, j, k) of the scan in closest canonical (RAS+) orientation, as
    the app's read-out shows them. Without a click the first mask is written.
    """
    clicks = [parse_click(text) for text in click or ()]
    volume = load_volume(scan)
    for notice in volume.notices:
        typer.echo(notice, err=True)
    predictor = CAISegPredictor.from_checkpoint(checkpoint, device)
    *_, result = replay_clicks(predictor, predictor.encode(volume), clicks)
    volume.save_mask(result.mask, out)
    i, j, k = volume.spacing
    volume_ml = float(result.mask.sum()) * i * j * k / 1000
    typer.echo(f"{out}: {int(result.mask.sum())} voxels, {volume_ml:.1f} mL")


def main() -> None:
    """Run the command; what a person can cause ends in one sentence, not a traceback."""
    try:
        app()
    except InvalidInput as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
