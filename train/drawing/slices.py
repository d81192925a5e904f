"""Slices of a scan as SVG: the image, outlines of masks, and clicks.

Display is radiological, as in the app: the patient's left lies on the right of an axial slice, and
front and head are up, so both in-plane axes of the RAS+ grid run against the screen's.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image
from plotly.colors import sample_colorscale, unlabel_rgb
from skimage.measure import find_contours

from caiseg.clicks import Click, Label
from train.click_simulation import Mask, Spacing

TRUTH_COLOUR = "#35d6e0"
MASK_COLOUR = "#ff5fd2"
CLICK_COLOURS = {Label.FOREGROUND: "#e69f00", Label.BACKGROUND: "#56b4e9"}
"""As in the app."""

MARGIN_MM = 20.0
"""What is shown around the outlines."""
LEAST_MM = 80.0
"""Least width and height of a view."""
PLANES = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
"""In-plane axes, horizontal then vertical, by the axis that a slice is normal to."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SliceView:
    """A rectangle of one slice.

    Attributes:
        axis: What the slice is normal to.
        index: Which slice.
        spans: First and one past the last voxel along the horizontal and the vertical axis.
        steps: Voxel size along both, in mm.
    """

    axis: int
    index: int
    spans: tuple[tuple[int, int], tuple[int, int]]
    steps: tuple[float, float]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height."""
        (left, right), (low, high) = self.spans
        return (right - left) * self.steps[0], (high - low) * self.steps[1]

    def cut(self, volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The rectangle, ``(horizontal, vertical)``, of an array ``(I, J, K)``."""
        (left, right), (low, high) = self.spans
        plane: npt.NDArray[Any] = np.take(volume, self.index, axis=self.axis)
        return plane[left:right, low:high]

    def on_screen(self, horizontal: float, vertical: float) -> tuple[float, float]:
        """Where a voxel centre lies, in mm from the upper left corner."""
        (_, right), (_, high) = self.spans
        return (right - horizontal - 0.5) * self.steps[0], (high - vertical - 0.5) * self.steps[1]

    def place(self, click: Click) -> tuple[float, float]:
        """Where a click lies on screen, projected onto the slice."""
        horizontal, vertical = PLANES[self.axis]
        return self.on_screen(click.voxel[horizontal], click.voxel[vertical])


def view_of(
    masks: Sequence[Mask], spacing: Spacing, through: tuple[int, int, int] | None = None
) -> SliceView:
    """A slice in the plane of the best resolution, axial where all are alike.

    Args:
        masks: The slice is cropped round all of them.
        spacing: Voxel size ``(i, j, k)`` in mm.
        through: Voxel that the slice shows; when left out, the slice has most of the first mask
            that is not empty.
    """
    axis = 2 if spacing[2] >= max(spacing) else int(np.argmax(spacing))
    plane = PLANES[axis]
    shown = next((mask for mask in masks if mask.any()), np.ones_like(masks[0]))
    index = int(shown.sum(axis=plane).argmax()) if through is None else through[axis]
    outline = np.logical_or.reduce([np.take(mask, index, axis=axis) for mask in masks])
    if through is not None:
        outline[through[plane[0]], through[plane[1]]] = True
    if not outline.any():
        outline[:] = True
    spans = []
    for along, step in enumerate(spacing[place] for place in plane):
        inside = np.flatnonzero(outline.any(axis=1 - along))
        margin = MARGIN_MM / step
        missing = max(0.0, LEAST_MM / step - (inside[-1] - inside[0] + 1 + 2 * margin)) / 2
        first = max(0, int(inside[0] - margin - missing))
        last = min(outline.shape[along], int(inside[-1] + 1 + margin + missing))
        spans.append((first, last))
    return SliceView(axis, index, (spans[0], spans[1]), (spacing[plane[0]], spacing[plane[1]]))


def grey(values: npt.NDArray[Any]) -> Pixels:
    """Intensities as grey levels, the window from the 1st to the 99.5th percentile."""
    low, high = np.percentile(values, (1, 99.5))
    scaled = (values.astype(np.float64) - low) / max(float(high - low), 1e-6)
    levels: Pixels = (255 * scaled.clip(0, 1)).astype(np.uint8)
    return levels


def heat(values: npt.NDArray[Any], scale: str = "Inferno") -> Pixels:
    """Values in [0, 1] as colours, ``(..., 3)``."""
    names = sample_colorscale(scale, np.linspace(0, 1, 256).tolist())
    colours = np.array([unlabel_rgb(name) for name in names])
    levels = (255 * values.astype(np.float64).clip(0, 1)).round().astype(int)
    pixels: Pixels = colours[levels].round().astype(np.uint8)
    return pixels


def draw_slice(
    view: SliceView,
    pixels: Pixels,
    *,
    label: str,
    truth: Mask | None = None,
    mask: Mask | None = None,
    clicks: Sequence[Click] = (),
) -> Markup:
    """One slice as an ``<svg>`` element that scales to any width.

    Args:
        view: What is shown.
        pixels: Grey ``(horizontal, vertical)`` or colour ``(horizontal, vertical, 3)``.
        label: What it shows, for those who cannot see it.
        truth: Outlined in cyan.
        mask: Outlined in magenta.
        clicks: In time order; those on other slices are drawn small and hollow.
    """
    width, height = view.size_mm
    parts = [
        f'<image href="{_png(pixels)}" width="{width:.2f}" height="{height:.2f}" '
        'preserveAspectRatio="none"/>'
    ]
    for outline, colour in ((truth, TRUTH_COLOUR), (mask, MASK_COLOUR)):
        if outline is not None:
            parts.append(
                f'<path d="{_path(view, outline)}" fill="none" stroke="{colour}" '
                'stroke-width="1.5" vector-effect="non-scaling-stroke"/>'
            )
    radius = 0.03 * max(width, height)
    numbered = list(enumerate(clicks, start=1))
    here = [item for item in numbered if item[1].voxel[view.axis] == view.index]
    elsewhere = [item for item in numbered if item[1].voxel[view.axis] != view.index]
    parts += [_mark(view, click, 0.5 * radius, "") for _, click in elsewhere]
    parts += [_mark(view, click, radius, str(number)) for number, click in here]
    return Markup(
        f'<svg viewBox="0 0 {width:.2f} {height:.2f}" role="img" '
        f'aria-label="{Markup.escape(label)}" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(parts)}</svg>"
    )


def legend() -> Markup:
    """What the lines and marks of :func:`draw_slice` mean."""
    lines = [
        (f'<path d="M1 8h20" stroke="{TRUTH_COLOUR}" stroke-width="2.5"/>', "truth"),
        (f'<path d="M1 8h20" stroke="{MASK_COLOUR}" stroke-width="2.5"/>', "mask"),
    ]
    marks = [
        (_shape(Label.FOREGROUND, 11, 8, 6, hollow=False), "foreground click in this slice"),
        (_shape(Label.BACKGROUND, 11, 8, 6, hollow=False), "background click in this slice"),
        (_shape(Label.FOREGROUND, 11, 8, 3, hollow=True), "click in another slice"),
    ]
    items = "".join(
        f'<span><svg viewBox="0 0 22 16" aria-hidden="true">{shape}</svg>{text}</span>'
        for shape, text in (*lines, *marks)
    )
    return Markup(f'<p class="legend">{items}</p>')


def scale_bar(scale: str = "Inferno") -> Markup:
    """What the colours of :func:`heat` mean."""
    colours = ", ".join(sample_colorscale(scale, np.linspace(0, 1, 9).tolist()))
    return Markup(
        f'<p class="legend"><span>0 <i style="background: linear-gradient(90deg, {colours})"></i> '
        "1</span></p>"
    )


def _mark(view: SliceView, click: Click, radius: float, number: str) -> str:
    x, y = view.place(click)
    shape = _shape(click.label, x, y, radius, hollow=not number)
    if not number:
        return shape
    return shape + (
        f'<text x="{x:.2f}" y="{y:.2f}" dy="0.36em" text-anchor="middle" '
        f'font-family="sans-serif" font-weight="700" font-size="{1.2 * radius:.2f}" '
        f'fill="#101316">{number}</text>'
    )


def _shape(label: Label, x: float, y: float, radius: float, *, hollow: bool) -> str:
    """A disk for foreground, a square for background, so that colour is not all."""
    colour = CLICK_COLOURS[label]
    paint = f'fill="none" stroke="{colour}"' if hollow else f'fill="{colour}" stroke="#101316"'
    paint += ' stroke-width="1" vector-effect="non-scaling-stroke"'
    if label is Label.FOREGROUND:
        return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" {paint}/>'
    side = 1.8 * radius
    corner = f'x="{x - side / 2:.2f}" y="{y - side / 2:.2f}"'
    return f'<rect {corner} width="{side:.2f}" height="{side:.2f}" {paint}/>'


def _path(view: SliceView, mask: Mask) -> str:
    """Outlines between voxels inside and outside, in mm on screen."""
    (left, _), (low, _) = view.spans
    padded = np.pad(view.cut(mask).astype(np.float64), 1)
    lines = []
    for contour in find_contours(padded, 0.5):
        points = [view.on_screen(h + left - 1, v + low - 1) for h, v in contour]
        lines.append("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points) + "Z")
    return "".join(lines)


def _png(pixels: Pixels) -> str:
    """An image as a data address, turned as the screen shows it."""
    turned = np.ascontiguousarray(np.swapaxes(pixels, 0, 1)[::-1, ::-1])
    stream = io.BytesIO()
    Image.fromarray(turned).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
