"""Time and memory of encoding a scan and of answering clicks, beside other methods."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
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
from caiseg.predictor import EncodedScan
from caiseg.synthetic import SyntheticScanConfig, generate_scan
from train.benchmark.memory import PeakMemory
from train.benchmark.report import Measurement, Target
from train.evaluation.simulated_session import Method
from train.methods import load_method
from train.methods.click_network import ClickNetwork
from train.methods.predictor import ClickNetworkPredictor
from train.methods.trainable import build_network

Shape = tuple[int, int, int]
T = TypeVar("T")
Clicking = dict[tuple[str, str, int], float]
"""Seconds of a click by size, method and number of clicks."""

HEAD_MM, BODY_MM = (240.0, 240.0, 180.0), (410.0, 410.0, 450.0)
"""Field of view of generated scans of up to 256 voxels across, and of larger ones."""

ROUND_LESION_MM = 10.0
"""How far from a lesion's box clicks may lie."""

SIZES: dict[str, Shape] = {
    "128x128x128": (128, 128, 128),
    "256x256x96": (256, 256, 96),
    "512x512x96": (512, 512, 96),
    "512x512x300": (512, 512, 300),
}
"""Scans by the name that ``--size`` takes."""

SMALL, LARGE = "256x256x96", "512x512x300"
"""A click in the larger one should cost about what it costs in the smaller one."""

FASTER_THAN_RITM = Target(10, at_least=True)
LARGER_SCAN = Target(1.5)
BESIDE_CONVOLUTIONS = Target(2)

_GENERATED: Shape = (96, 96, 72)


@dataclass(frozen=True)
class InferenceBenchmark:
    """What is measured.

    Attributes:
        sizes: Keys of :data:`SIZES`.
        clicks: Numbers of clicks; the last of them is timed, once those before it are answered.
        methods: Names of methods; none for all.
        repeats: How often; the fastest counts, because whatever else the machine does can only
            slow it down.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
    """

    sizes: tuple[str, ...] = tuple(SIZES)
    clicks: tuple[int, ...] = (1, 5, 20)
    methods: tuple[str, ...] = ()
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
        Seconds, MiB, patches and ratios; and the device that the networks ran on.

    Raises:
        InvalidInput: A size or a method is not known, or the checkpoint cannot be used.
    """
    if unknown := [size for size in options.sizes if size not in SIZES]:
        raise InvalidInput(f"'{unknown[0]}' is not a size; choose from {', '.join(SIZES)}.")
    predictor = CAISegPredictor.from_checkpoint(checkpoint, options.device)
    predictor.warm_up()
    methods = _methods(predictor)
    if strange := [name for name in options.methods if name not in methods]:
        raise InvalidInput(f"'{strange[0]}' is not measured; choose from {', '.join(methods)}.")
    lines: list[Measurement] = []
    clicking: Clicking = {}
    for size in options.sizes:
        with _generated(SIZES[size]) as (volume, places):
            lines.append(_beside_convolutions(size, predictor, volume))
            for name, method in methods.items():
                if options.methods and name not in options.methods:
                    continue
                with PeakMemory() as memory:
                    encode, scan = _fastest(options.repeats, lambda m=method: m.encode(volume))  # type: ignore[misc]
                    lines.append(Measurement(f"{size}, {name}: encode", encode, "s"))
                    if isinstance(scan, EncodedScan):
                        patches = len(scan.features.boxes)
                        lines.append(Measurement(f"{size}, {name}: patches", patches, ""))
                    for count in options.clicks:
                        of = f"{size}, {name}: {count} click" + "s" * (count > 1)
                        seconds = _last_click(method, scan, places[:count], options.repeats)
                        clicking[size, name, count] = seconds
                        lines.append(Measurement(of, seconds, "s"))
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
            reach_mm=predictor.reach_mm,
            dense=True,
        ),
        "ritm3d": ClickNetworkPredictor(
            network, predictor.preprocessing, predictor.device, predictor.guided_filter
        ),
        "random_walker": load_method("random_walker").method,
        "graph_cuts": load_method("graph_cuts").method,
    }


def write_generated(path: Path, shape: Shape) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Write a generated head of that size, and return its lesion.

    In a larger field of view it is the same head with more air around, so that clicks on one
    lesion are compared.
    """
    coarse_mm = [extent / size for extent, size in zip(HEAD_MM, _GENERATED, strict=True)]
    config = SyntheticScanConfig(shape=_GENERATED, spacing=tuple(coarse_mm))
    scan = generate_scan(config, seed=0)
    spacing = _spacing(shape)
    air = [
        round((mm * size / step - have) / 2)
        for mm, size, step, have in zip(spacing, shape, coarse_mm, _GENERATED, strict=True)
    ]
    around = [(width, width) for width in air]
    image = np.pad(scan.image, around, constant_values=scan.image.min())
    lesion = np.pad(scan.lesion, around)
    rows = np.ix_(
        *(np.arange(size) * have // size for size, have in zip(shape, image.shape, strict=True))
    )
    voxels = np.rint(image * 600).astype(np.int16)[rows]
    nib.save(nib.Nifti1Image(voxels, np.diag([*spacing, 1.0])), path)
    return lesion[rows]


@contextmanager
def _generated(shape: Shape) -> Iterator[tuple[Volume, list[Click]]]:
    """A scan of that size, and 20 clicks in and round its lesion."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.nii"
        lesion = write_generated(path, shape)
        yield load_volume(path), spread_clicks(lesion)


def spread_clicks(lesion: np.ndarray[Any, np.dtype[np.bool_]]) -> list[Click]:
    """Foreground and background in turn, foreground first, in and round the lesion.

    They lie at the same places of the head whatever the size of its scan, so that the same work is
    compared.

    Args:
        lesion: ``(I, J, K)``, what :func:`write_generated` gave.
    """
    spacing = np.array(_spacing(lesion.shape))
    box = np.array([[places.min(), places.max() + 1] for places in lesion.nonzero()])
    low, high = (box * spacing[:, None] + (-ROUND_LESION_MM, ROUND_LESION_MM)).T
    clicks = []
    for number in range(20):
        label = Label.BACKGROUND if number % 2 else Label.FOREGROUND
        rng = np.random.default_rng(number)
        while True:
            i, j, k = (rng.uniform(low, high) // spacing).astype(int).tolist()
            inside = min(i, j, k) >= 0 and all(np.array((i, j, k)) < lesion.shape)
            if inside and lesion[i, j, k] == bool(label):
                break
        clicks.append(Click((i, j, k), label))
    return clicks


def _spacing(shape: Sequence[int]) -> list[float]:
    """Voxel size in mm of a generated scan of that size."""
    field_of_view = HEAD_MM if max(shape[:2]) <= 256 else BODY_MM
    return [extent / size for extent, size in zip(field_of_view, shape, strict=True)]


def _fastest(
    repeats: int, run: Callable[[], T], prepare: Callable[[], object] = lambda: None
) -> tuple[float, T]:
    """The least seconds of several runs, each prepared anew, and what the last one gave."""
    seconds = []
    for _ in range(repeats):
        prepare()
        began = time.perf_counter()
        result = run()
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def _last_click(method: Method[Any], scan: Any, clicks: list[Click], repeats: int) -> float:
    """The least seconds of answering the last of some clicks, each time after the one before it.

    What a method keeps of an answer then helps as much as it does for somebody who clicks.
    """
    masks: list[Any] = [None]
    for count in range(len(clicks)):
        masks.append(method.segment(scan, clicks[:count], masks[-1]).mask)
    return _fastest(
        repeats,
        run=lambda: method.segment(scan, clicks, masks[-1]).mask,
        prepare=lambda: method.segment(scan, clicks[:-1], masks[-2]).mask,
    )[0]


def _beside_convolutions(size: str, predictor: CAISegPredictor, volume: Volume) -> Measurement:
    """How many times the convolutions' own time encoding a scan takes, all included."""
    with profile() as profiler:
        seconds, _ = _fastest(1, lambda: predictor.encode(volume))
    on_gpu = predictor.device.type == "cuda"
    convolutions = sum(
        event.self_device_time_total if on_gpu else event.self_cpu_time_total
        for event in profiler.key_averages()
        if "conv" in event.key
    )
    what = f"{size}, caiseg: encode / its convolutions"
    return Measurement(what, 1e6 * seconds / convolutions, "x", target=BESIDE_CONVOLUTIONS)


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
                target = FASTER_THAN_RITM if name == "ritm3d" else None
                lines.append(Measurement(what, ratio, "x", target=target))
    if SMALL in options.sizes and LARGE in options.sizes:
        for count in options.clicks:
            ratio = clicking[LARGE, names[0], count] / clicking[SMALL, names[0], count]
            what = f"{LARGE} / {SMALL}, {count}: {names[0]}"
            lines.append(Measurement(what, ratio, "x", target=LARGER_SCAN))
    return lines
