"""Scans of no body at all: smooth random regions, each of its own brightness.

Real scans show the organs that somebody had scanned. A network that is to outline whatever is
clicked should follow any border, so some of its samples hold nothing but borders: regions where
one of several smooth random fields is the highest, as Hoffmann et al. (SynthMorph, 2022) draw
label maps. Regions of one label lie in several places, and a click means its own. Lesions also
adhere to what is as bright as they are, a lung tumour to the chest wall, and end there by their
shape alone; so do some of the regions.

Arrays are ``(I, J, K)``; spacing is in mm; every random choice comes from the generator that is
passed in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from caiseg.synthetic.lesions import draw_blob, grow_at
from caiseg.synthetic.noise import smooth_noise
from train.click_simulation import Mask, Spacing, random_voxel

Image = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]

LABELS = (8, 16)
"""Fewest and most labels; of fewer, regions run through the whole scan."""
WAVELENGTH_MM = (20.0, 100.0)
"""Over which a field rises and falls; a region is about half as wide."""
SPAN = 4.0
"""Labels share so many units of brightness evenly."""
GRAIN, GRAIN_MM = 0.4, (4.0, 20.0)
"""The most that brightness varies within a label, in those units, and over what distance."""
NOISE = 0.3
"""The largest standard deviation of the noise, in those units."""
BLUR_MM = (0.3, 1.5)
SHADING, SHADING_MM = 0.3, 150.0
"""Brightness changes smoothly over a scan by so much of itself."""
IN_AIR = 0.5
"""Share of the scans in which air surrounds a body."""
AIR = 0.1
"""Brightness of air, where that of the darkest label is about 1."""
HOLLOW = 0.25
"""Share of the scans in which one label is air, as lungs and bowel are."""
ADHERING = 0.35
"""Share of the scans in which a blob that adheres to a neighbour is to be outlined."""
ADHERING_MM = (4.0, 30.0)
"""Its radius."""
HIDDEN = 0.4
"""The most of such a blob that may lie in what it adheres to."""
SIZES = (0.0005, 0.15)
"""Smallest and largest share of a scan that a region to outline takes."""
ATTEMPTS = 10
"""Places tried; then the last region is taken whatever its size."""


def random_shapes(
    shape: tuple[int, int, int], spacing: Spacing, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """A scan of random regions, and one of them.

    Args:
        shape: Size ``(I, J, K)``.
        spacing: Voxel size.
        rng: Source of every choice.

    Returns:
        Intensities of at least 0, and the region, in one piece.
    """
    labels = _labels(shape, spacing, rng)
    body = _body(shape, spacing, rng) if rng.random() < IN_AIR else np.ones(shape, dtype=bool)
    region = adhering_blob(labels, body, spacing, rng) if rng.random() < ADHERING else None
    if region is None:
        region = _region(labels, body, rng)
    count = int(labels.max()) + 1
    steps = (np.arange(count) + rng.uniform(-0.25, 0.25, count)) / count
    bright = 1.0 + SPAN * rng.permutation(steps)
    if rng.random() < HOLLOW:
        bright[rng.integers(count)] = AIR
    grain = smooth_noise(rng, shape, spacing, float(rng.uniform(*GRAIN_MM)))
    image = bright[labels] + rng.uniform(0, GRAIN, count)[labels] * grain
    image = np.where(body, image, AIR)
    blur = float(rng.uniform(*BLUR_MM))
    image = ndimage.gaussian_filter(image, [blur / step for step in spacing])
    image *= np.exp(SHADING * smooth_noise(rng, shape, spacing, SHADING_MM))
    image += rng.uniform(0, NOISE) * rng.standard_normal(shape)
    return image.clip(min=0).astype(np.float32), region


def _labels(shape: tuple[int, int, int], spacing: Spacing, rng: np.random.Generator) -> Labels:
    """Which of several fields is the highest."""
    wavelength = float(np.exp(rng.uniform(*np.log(WAVELENGTH_MM))))
    fields = [
        smooth_noise(rng, shape, spacing, wavelength * float(rng.uniform(0.7, 1.4)))
        for _ in range(int(rng.integers(*LABELS, endpoint=True)))
    ]
    highest: Labels = np.argmax(fields, axis=0)
    return highest


def _body(shape: tuple[int, int, int], spacing: Spacing, rng: np.random.Generator) -> Mask:
    """A lump that fills most of the scan."""
    centre, radii = rng.uniform(0.35, 0.65, 3), rng.uniform(0.4, 0.8, 3)
    away = [
        (((np.arange(size) + 0.5) / size - middle) / radius) ** 2
        for size, middle, radius in zip(shape, centre, radii, strict=True)
    ]
    lump: Mask = sum(np.ix_(*away)) + 0.15 * smooth_noise(rng, shape, spacing, 60.0) < 1
    return lump


def _region(labels: Labels, body: Mask, rng: np.random.Generator) -> Mask:
    """What hangs together with a random voxel of the body and has its label."""
    for _ in range(ATTEMPTS):
        seed = random_voxel(body, rng)
        pieces, _ = ndimage.label(body & (labels == labels[seed]))
        region: Mask = pieces == pieces[seed]
        if SIZES[0] <= region.mean() <= SIZES[1]:
            break
    return region


def adhering_blob(
    labels: Labels, body: Mask, spacing: Spacing, rng: np.random.Generator
) -> Mask | None:
    """A blob that takes the label of a neighbour it reaches into.

    Args:
        labels: Label of every voxel ``(I, J, K)``; the blob's are written into it.
        body: Where a blob may lie.
        spacing: Voxel size.
        rng: Source of every choice.

    Returns:
        The blob, in one piece, or nothing where no place for one was found.
    """
    for _ in range(ATTEMPTS):
        radius = float(np.exp(rng.uniform(*np.log(ADHERING_MM))))
        blob = draw_blob(radius, spacing, float(rng.uniform(0.05, 0.3)), rng)
        grown = grow_at(random_voxel(body, rng), blob, body)
        beneath = labels[grown.window]
        hosts, sizes = np.unique(beneath[grown.mask], return_counts=True)
        touched = hosts[sizes <= HIDDEN * sizes.sum()]
        if len(touched) and sizes.sum() >= SIZES[0] * labels.size:
            beneath[grown.mask] = rng.choice(touched)
            region = np.zeros_like(body)
            region[grown.window] = grown.mask
            return region
    return None
