"""The command line: ``python -m train prepare | fit | export | evaluate``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

from caiseg.errors import InvalidInput
from train.config import load_config
from train.evaluate import EvaluateOptions, evaluate
from train.evaluation_protocol import EvaluationProtocol
from train.export import export, read_figures
from train.fit import FitOptions, fit
from train.prepare import PrepareOptions, prepare
from train.simulated_session import ClickRule
from train.sources import Source, read_csv_manifest, read_decathlon, read_nnunet

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train and judge checkpoints.",
)


@app.callback()
def _commands() -> None:
    """Train and judge checkpoints."""


@app.command("prepare")
def prepare_command(
    config: Annotated[str, typer.Option(help="Name of a built-in config, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder for manifest.csv, split.json and cache.")],
    msd: Annotated[
        Path | None, typer.Option(help="Task folder of the Medical Segmentation Decathlon.")
    ] = None,
    nnunet: Annotated[Path | None, typer.Option(help="Raw data set of nnU-Net v2.")] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV with case,patient,image,mask and, where given, split and channel."),
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides who is in which split.")] = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that read scans; 0 for none beside this one.")
    ] = 1,
) -> None:
    """Check labelled scans, split their patients, and preprocess them for training."""
    sources: list[tuple[Source, Path | None]] = [
        (read_decathlon, msd), (read_nnunet, nnunet), (read_csv_manifest, manifest),
    ]  # fmt: skip
    named = [(read, place) for read, place in sources if place is not None]
    if len(named) != 1:
        raise InvalidInput("Name one source of scans: --msd, --nnunet or --manifest.")
    read, place = named[0]
    experiment = load_config(config, override or ())
    options = PrepareOptions(out, seed, workers)
    prepare(experiment, read(place, experiment.data), options)
    again = "".join(f" --set {shlex.quote(item)}" for item in override or ())
    typer.echo(
        f"Next: python -m train fit --config {config}{again} --manifest {options.manifest} "
        f"--cache {options.cache} --out RUN"
    )


@app.command("fit")
def fit_command(
    config: Annotated[str, typer.Option(help="Name of a built-in config, or a YAML file.")],
    manifest: Annotated[Path, typer.Option(help="CSV with case,patient,image,mask,split.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    resume: Annotated[bool, typer.Option(help="Continue the run in that folder.")] = False,
    init: Annotated[
        Path | None, typer.Option(help="Checkpoint whose weights to start from.")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for preprocessed scans; OUT/cache by default.")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads of the training step.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that prepare samples.")] = 1,
    save_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two saved states to resume from.")
    ] = 120,
) -> None:
    """Train a network from a manifest of labelled scans."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    fit(
        load_config(config, override or ()),
        FitOptions(
            config_name=Path(config).stem, manifest=manifest, out=out, resume=resume,
            cache=cache or out / "cache", accelerator=accelerator, devices=devices, nodes=nodes,
            workers=workers, save_every=save_every, initial=init,
        ),
    )  # fmt: skip


@app.command("export")
def export_command(
    run: Annotated[Path, typer.Option(help="Run folder of a training.")],
    out: Annotated[Path, typer.Option(help="Checkpoint to write, .safetensors.")],
    figures: Annotated[
        Path | None, typer.Option(help="summary.json of an evaluation, for the card.")
    ] = None,
) -> None:
    """Write the best weights of a run as a checkpoint with its model card."""
    info = export(run, out, None if figures is None else read_figures(figures))
    typer.echo(f"{out}: {info.name}, {out.stat().st_size / 1e6:.1f} MB")


@app.command("evaluate")
def evaluate_command(
    checkpoint: Annotated[Path, typer.Option(help="A .safetensors checkpoint.")],
    manifest: Annotated[Path, typer.Option(help="CSV with case,patient,image,mask,split.")],
    out: Annotated[Path, typer.Option(help="Folder for results.csv and summary.json.")],
    split: Annotated[str, typer.Option(help="Which cases of the manifest.")] = "val",
    clicks: Annotated[int, typer.Option(min=0, help="Most clicks per case.")] = 20,
    rule: Annotated[
        ClickRule, typer.Option(help="Click the largest error at its centre or anywhere in it.")
    ] = ClickRule.CENTRE,
    seeds: Annotated[
        int, typer.Option(min=1, help="Sessions per case under the random rule.")
    ] = 10,
    surface_round: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            help="Measure surface distances after that many clicks; may be repeated; "
            "0, 5 and the last by default.",
        ),
    ] = None,
    label: Annotated[
        list[int] | None,
        typer.Option(help="Mask value that is lesion; may be repeated; all above 0 by default."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Keep the cases that are finished.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
) -> None:
    """Judge a checkpoint on labelled scans with simulated clicks."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    protocol = EvaluationProtocol(
        clicks=clicks, rule=rule, seeds=seeds if rule is ClickRule.RANDOM else 1,
        surface_rounds=tuple(surface_round) if surface_round else None,
        label_values=tuple(label) if label else None,
    )  # fmt: skip
    evaluate(EvaluateOptions(checkpoint, manifest, split, out, protocol, resume, device))
    typer.echo(f"{out / 'results.csv'} and {out / 'summary.json'}")


def main() -> None:
    """Run the command line; what a person can cause ends in one sentence, not a traceback."""
    try:
        app()
    except InvalidInput as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)
