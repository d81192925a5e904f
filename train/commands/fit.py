"""``python -m train fit``: what it asks for on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.config import load_config
from train.fit import FitOptions, fit
from train.processes import processes_here, threads_of_each


def fit_command(
    config: Annotated[str, typer.Option(help="Name of a built-in config, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV with case,patient,image,mask,split; none for a config that generates scans."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="caiseg, or a baseline: vnet, ritm3d, dins3d, mideepseg."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue the run in that folder.")] = False,
    init: Annotated[
        Path | None,
        typer.Option(help="Checkpoint to start from: the method's own, or vnet's as backbone."),
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for preprocessed scans; OUT/cache by default.")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Processes on this machine; 1, or what the launcher started."),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Machines; 1, or what the launcher started.")
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            min=0, help="CPU threads of each process; 0 shares all among those of this machine."
        ),
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that prepare samples; 0 for none beside this one.")
    ] = 1,
    save_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two saved states to resume from.")
    ] = 120,
) -> None:
    """Train a network on labelled scans, or on generated ones."""
    overrides = [*(override or ()), *([f"method={method}"] if method else ())]
    fit(
        load_config(config, overrides),
        FitOptions(
            config_name=Path(config).stem, manifest=manifest, out=out, resume=resume,
            cache=cache or out / "cache", accelerator=accelerator, devices=devices, nodes=nodes,
            threads=threads or threads_of_each(processes_here(devices)),
            workers=workers, save_every=save_every, initial=init, overrides=tuple(overrides),
        ),
    )  # fmt: skip
