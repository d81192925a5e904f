"""How long clicks take when many people make them at once."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caiseg import Click
from caiseg.errors import InvalidInput
from caiseg.predictor import choose_device
from train.benchmark.app_process import app_serving
from train.benchmark.inference import SIZES, spread_clicks, write_generated
from train.benchmark.report import Measurement


@dataclass(frozen=True)
class PeopleBenchmark:
    """What is measured.

    Attributes:
        size: Key of :data:`train.benchmark.inference.SIZES`.
        sessions: How many people.
        clicks: How many each of them makes, the next one as soon as the last is answered.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
    """

    size: str
    sessions: int = 20
    clicks: int = 10
    device: str = "auto"


def measure_people(
    checkpoint: Path, options: PeopleBenchmark
) -> tuple[list[Measurement], torch.device]:
    """Start the app, open one scan for everybody, and let all click at once.

    Args:
        checkpoint: CAISeg's weights.
        options: How many people, and on what.

    Returns:
        Seconds from a click to its answer, clicks a second, and how far the slowest person was
        behind the fastest; and the device that the network ran on.

    Raises:
        InvalidInput: The size is not known, or the app does not start.
    """
    # Whoever trains need not wait for its import.
    from gradio_client import Client, handle_file

    if options.size not in SIZES:
        raise InvalidInput(f"'{options.size}' is not a size; choose from {', '.join(SIZES)}.")
    ready = threading.Barrier(options.sessions)
    with app_serving(checkpoint, options.device) as app, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.nii"
        clicks = spread_clicks(write_generated(path, SIZES[options.size]))
        makes = list(itertools.islice(itertools.cycle(clicks), options.clicks))

        def annotate(_: int) -> list[float]:
            with closing(Client(app.url, verbose=False, httpx_kwargs={"timeout": 600})) as client:
                client.predict(handle_file(str(path)), api_name="/load")
                ready.wait()
                return [time.perf_counter(), *(_answered(client, click) for click in makes)]

        with ThreadPoolExecutor(options.sessions) as threads:
            moments = np.array(list(threads.map(annotate, range(options.sessions))))
    waits, took = np.diff(moments, axis=1), moments[:, -1] - moments[:, 0]
    lines = [
        Measurement("click to answer, median", float(np.median(waits)), "s"),
        Measurement("click to answer, 95th percentile", float(np.percentile(waits, 95)), "s"),
        Measurement("click to answer, longest", float(waits.max()), "s"),
        Measurement("clicks a second, all together", waits.size / float(took.max()), "/s"),
        Measurement("slowest person / fastest", float(took.max() / took.min()), "x"),
    ]
    return lines, choose_device(options.device)


def _answered(client: Any, click: Click) -> float:
    """Make a click, and say when it was answered."""
    label = click.to_json()["label"]
    client.predict(*click.voxel, label, api_name="/click")
    return time.perf_counter()
