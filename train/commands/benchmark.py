"""``python -m train benchmark``: what it asks for on the command line."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from train.benchmark.browser import BrowserBenchmark, measure_browser
from train.benchmark.inference import SIZES, InferenceBenchmark, measure_inference
from train.benchmark.people import PeopleBenchmark, measure_people
from train.benchmark.report import show, write
from train.benchmark.training import TrainingBenchmark, measure_training
from train.config import load_config


class What(str, enum.Enum):
    """What can be measured."""

    TRAINING = "training"
    INFERENCE = "inference"
    BROWSER = "browser"
    PEOPLE = "people"


def benchmark_command(
    what: Annotated[What, typer.Option(help="What to measure.")],
    config: Annotated[
        str, typer.Option(help="Name of a built-in config, or a YAML file.")
    ] = "brain_flair",
    override: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many to measure.")] = 10,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare samples.")] = 1,
    checkpoint: Annotated[
        Path, typer.Option(help="CAISeg checkpoint to measure, alone or in the app.")
    ] = Path("assets/checkpoints/brain-flair.safetensors"),
    size: Annotated[
        list[str] | None,
        typer.Option(help=f"Size of the scan: {', '.join(SIZES)}; may be repeated; all."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="caiseg, ritm3d or another method of inference; may be repeated; all."),
    ] = None,
    clicks: Annotated[
        int, typer.Option(min=1, max=18, help="How many in the browser, or of each person.")
    ] = 18,
    sessions: Annotated[int, typer.Option(min=1, help="How many people click at once.")] = 20,
    repeats: Annotated[int, typer.Option(min=1, help="Runs, of which the fastest counts.")] = 3,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the figures, the settings and the machine.")
    ] = None,
) -> None:
    """Measure how fast things are on this machine."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    settings: dict[str, Any] = {"what": what.value, "threads": torch.get_num_threads()}
    if what is What.TRAINING:
        settings |= {"config": config, "set": override or [], "steps": steps}
        experiment = load_config(config, override or ())
        lines, device = measure_training(experiment, TrainingBenchmark(steps, workers, accelerator))
        subject = config
    elif what is What.BROWSER:
        seen = BrowserBenchmark(tuple(size or SIZES), clicks=clicks, device=accelerator)
        settings |= {"checkpoint": str(checkpoint), "clicks": clicks, "sizes": seen.sizes}
        lines, device = measure_browser(checkpoint, seen)
        subject = checkpoint.stem
    elif what is What.PEOPLE:
        crowd = PeopleBenchmark((size or list(SIZES))[0], sessions, clicks, accelerator)
        settings |= {"checkpoint": str(checkpoint), "sessions": sessions, "clicks": clicks}
        lines, device = measure_people(checkpoint, crowd)
        subject = checkpoint.stem
    else:
        chosen = InferenceBenchmark(
            tuple(size or SIZES), methods=tuple(method or ()), repeats=repeats, device=accelerator
        )
        settings |= {"checkpoint": str(checkpoint), "repeats": repeats, "sizes": chosen.sizes}
        lines, device = measure_inference(checkpoint, chosen)
        subject = checkpoint.stem
    show(Console(), f"{what.value}, {subject}, {device}", lines)
    if out is not None:
        write(out, settings, lines, device)
