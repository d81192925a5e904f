"""Time and memory of encoding a scan and of answering clicks, beside other methods."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
import torch
from torch.profiler import profile

from caiseg import CAISegPredictor, Click, Label, Volume, load_volume
from caiseg.errors import InvalidInput
from caiseg.synthetic import SyntheticScanConfig, generate_scan
from train.benchmark.memory import PeakMemory
from train.benchmark.report import Measurement
from train.evaluation.simulated_session import Method
from train.methods import load_method
from train.methods.click_network import ClickNetwork
from train.methods.predictor import ClickNetworkPredictor
from train.methods.trainable import build_network

Shape = tuple[int, int, int]
T = TypeVar("T")

FIELD_OF_VIEW_MM = (240.0, 240.0, 180.0)
"""Of every generated scan: a head, sampled more and more finely."""

SIZES: dict[str, Shape] = {
    "128x128x128": (128, 128, 128),
    "256x256x96": (256, 256, 96),
    "512x512x96": (512, 512, 96),
    "512x512x300": (512, 512, 300),
}
"""Scans by the name that ``--size`` takes."""

SMALL, LARGE = "256x256x96", "512x512x300"
"""A click in the larger one should cost about what it costs in the smaller one."""

_GENERATED: Shape = (96, 96, 72)


@dataclass(frozen=True)
class InferenceBenchmark:
    """What is measured.

    Attributes:
        sizes: Keys of :data:`SIZES`.
        clicks: Numbers of clicks to answer at once.
        repeats: How often; the fastest counts, because whatever else the machine does can only
            slow it down.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
    """

    sizes: tuple[str, ...] = tuple(SIZES)
    clicks: tuple[int, ...] = (1, 5, 20)
    repeats: int = 3
    device: str = "auto"


def measure_inference(
    checkpoint: Path, options: InferenceBenchmark
) -> tuple[list[Measurement], torch.device]:
    """Encode generated scans and click them, with every method in turn.

    ``ritm3d`` has the checkpoint's own backbone, with weights that nothing has trained: they
    change no time.

    Args:
        checkpoint: CAISeg's weights.
        options: How much and on what.

    Returns:
        Seconds, MiB and ratios; and the device that the networks ran on.

    Raises:
        InvalidInput: A size is not known, or the checkpoint cannot be used.
    """
    if unknown := [size for size in options.sizes if size not in SIZES]:
        raise InvalidInput(f"'{unknown[0]}' is not a size; choose from {', '.join(SIZES)}.")
    predictor = CAISegPredictor.from_checkpoint(checkpoint, options.device)
    predictor.warm_up()
    methods = _methods(predictor)
    lines: list[Measurement] = []
    clicking: dict[tuple[str, str, int], float] = {}
    for size in options.sizes:
        with _generated(SIZES[size]) as (volume, places):
            if not lines:
                lines.append(_convolutions(predictor, volume))
            for name, method in methods.items():
                with PeakMemory() as memory:
                    encode, scan = _fastest(options.repeats, lambda m=method: m.encode(volume))  # type: ignore[misc]
                    lines.append(Measurement(f"{size}, {name}: encode", encode, "s"))
                    mask = method.segment(scan, places[:1]).mask
                    for count in options.clicks:
                        seconds, mask = _fastest(
                            options.repeats,
                            lambda m=method, s=scan, n=count, p=mask: (  # type: ignore[misc]
                                m.segment(s, places[:n], p).mask
                            ),
                        )
                        clicking[size, name, count] = seconds
                        of = f"{count} click" + "s" * (count > 1)
                        lines.append(Measurement(f"{size}, {name}: {of}", seconds, "s"))
                lines.append(Measurement(f"{size}, {name}: memory", memory.mebibytes, "MiB"))
    return lines + _ratios(clicking, options), predictor.device


def _methods(predictor: CAISegPredictor) -> dict[str, Method[Any]]:
    network = build_network("ritm3d", predictor.network.config)
    assert isinstance(network, ClickNetwork)
    return {
        "caiseg": predictor,
        "caiseg, whole patches": CAISegPredictor(
            predictor.network,
            predictor.preprocessing,
            predictor.device,
            guided_filter=predictor.guided_filter,
            dense=True,
        ),
        "ritm3d": ClickNetworkPredictor(
            network, predictor.preprocessing, predictor.device, predictor.guided_filter
        ),
        "random_walker": load_method("random_walker").method,
        "graph_cuts": load_method("graph_cuts").method,
    }


def write_generated(path: Path, shape: Shape) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Write a generated head of that size, and return its lesion."""
    coarse_mm = tuple(
        extent / size for extent, size in zip(FIELD_OF_VIEW_MM, _GENERATED, strict=True)
    )
    scan = generate_scan(SyntheticScanConfig(shape=_GENERATED, spacing=coarse_mm), seed=0)
    rows = np.ix_(
        *(
            np.arange(size) * have // size
            for size, have in zip(shape, scan.image.shape, strict=True)
        )
    )
    voxels = np.rint(scan.image * 600).astype(np.int16)[rows]
    spacing = [extent / size for extent, size in zip(FIELD_OF_VIEW_MM, shape, strict=True)]
    nib.save(nib.Nifti1Image(voxels, np.diag([*spacing, 1.0])), path)
    return scan.lesion[rows]


@contextmanager
def _generated(shape: Shape) -> Iterator[tuple[Volume, list[Click]]]:
    """A scan of that size, and 20 clicks in and round its lesion."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.nii"
        lesion = write_generated(path, shape)
        yield load_volume(path), spread_clicks(lesion)


def spread_clicks(lesion: np.ndarray[Any, np.dtype[np.bool_]]) -> list[Click]:
    """Foreground and background in turn, foreground first, spread over the lesion's box."""
    box = tuple(
        slice(max(int(places.min()) - 8, 0), int(places.max()) + 9) for places in lesion.nonzero()
    )
    rng = np.random.default_rng(0)
    clicks = []
    for number in range(20):
        label = Label.BACKGROUND if number % 2 else Label.FOREGROUND
        i, j, k = rng.choice(np.argwhere(lesion[box] == bool(label)))
        corner = [part.start for part in box]
        voxel = (int(i) + corner[0], int(j) + corner[1], int(k) + corner[2])
        clicks.append(Click(voxel, label))
    return clicks


def _fastest(repeats: int, run: Callable[[], T]) -> tuple[float, T]:
    """The least seconds of several runs, and what the last one gave."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = run()
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def _convolutions(predictor: CAISegPredictor, volume: Volume) -> Measurement:
    """How many times the convolutions' own time the network's part of encoding takes."""
    size = predictor.preprocessing.patch_size
    strides = predictor.network.config.total_stride
    i, j, k = (step * max(2, length // step) for length, step in zip(size, strides, strict=True))
    scan = torch.zeros((1, 1, i, j, k), device=predictor.device)
    with torch.inference_mode(), profile() as profiler:
        predictor.network.encode(scan)
    events = profiler.key_averages()
    own = [
        event.self_device_time_total if predictor.device.type == "cuda"
        else event.self_cpu_time_total
        for event in events
    ]  # fmt: skip
    convolutions = sum(
        time for event, time in zip(events, own, strict=True) if "convolution" in event.key
    )
    return Measurement("encode / its convolutions", sum(own) / convolutions, "x")


def _ratios(
    clicking: dict[tuple[str, str, int], float], options: InferenceBenchmark
) -> list[Measurement]:
    lines = []
    names = list(dict.fromkeys(name for _, name, _ in clicking))
    for size in options.sizes:
        for name in names[1:]:
            for count in options.clicks:
                ratio = clicking[size, name, count] / clicking[size, names[0], count]
                what = f"{size}, {count}: {name} / {names[0]}"
                lines.append(Measurement(what, ratio, "x"))
    if SMALL in options.sizes and LARGE in options.sizes:
        for count in options.clicks:
            ratio = clicking[LARGE, names[0], count] / clicking[SMALL, names[0], count]
            lines.append(Measurement(f"{LARGE} / {SMALL}, {count}: {names[0]}", ratio, "x"))
    return lines
