"""Random walker and graph cuts: clicks alone, on real volumes in bounded memory."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from caiseg import Click, InvalidInput, Label, Volume, load_volume
from train.evaluation.metrics import dice_score
from train.evaluation.simulated_session import ClickRule, Method, simulate
from train.methods import load_method
from train.methods.region import MAX_VOXELS, Region

METHODS = ["random_walker", "graph_cuts"]
SPACING = (2.0, 2.0, 3.0)
Mask = npt.NDArray[np.bool_]


def ball(shape: tuple[int, int, int], centre: tuple[int, int, int], radius_mm: float) -> Mask:
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    distance: npt.NDArray[np.float64] = np.linalg.norm((grid - centre) * SPACING, axis=-1)
    return distance <= radius_mm


SHAPE = (40, 36, 24)
LESION = ball(SHAPE, (18, 17, 12), 16.0)
OTHER = ball(SHAPE, (33, 29, 20), 7.0)


def volume(folder: Path, image: npt.NDArray[np.float32]) -> Volume:
    path = folder / "scan.nii.gz"
    nib.save(nib.Nifti1Image(image, np.diag([*SPACING, 1.0])), path)
    return load_volume(path)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """A bright ball, and another one like it, each as even as tissue in one slice of a scan."""
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    image = (100 + 80 * (LESION | OTHER) + noise).astype(np.float32)
    return volume(tmp_path_factory.mktemp("scan"), image)


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method[Volume]:
    return load_method(request.param).method


def test_there_is_no_mask_before_the_first_foreground_click(
    method: Method[Volume], scan: Volume
) -> None:
    encoded = method.encode(scan)
    assert not method.segment(encoded, ()).mask.any()
    background = Click((2, 2, 2), Label.BACKGROUND)
    assert not method.segment(encoded, (background,)).mask.any()


def test_simulated_clicks_find_the_lesion_and_leave_its_twin_alone(
    method: Method[Volume], scan: Volume
) -> None:
    choose = ClickRule.CENTRE.chooser(scan.spacing, "case", 0)
    session = list(simulate(method, method.encode(scan), LESION, choose, clicks=3))
    dice = [dice_score(answer.mask, LESION) for answer in session]
    assert dice[0] == 0
    assert dice[-1] > 0.9
    assert not (session[-1].mask & OTHER).any()


def test_every_clicked_voxel_takes_its_label(method: Method[Volume], scan: Volume) -> None:
    clicks = (
        Click((18, 17, 12), Label.FOREGROUND),
        Click((20, 17, 12), Label.BACKGROUND),
        Click((4, 4, 4), Label.FOREGROUND),
    )
    mask = method.segment(method.encode(scan), clicks).mask
    assert [bool(mask[click.voxel]) for click in clicks] == [True, False, True]


def test_a_click_outside_the_scan_is_refused(method: Method[Volume], scan: Volume) -> None:
    with pytest.raises(InvalidInput, match="outside the scan"):
        method.segment(scan, (Click((99, 0, 0), Label.FOREGROUND),))


def test_weights_are_refused(tmp_path: Path) -> None:
    for name in METHODS:
        with pytest.raises(InvalidInput, match=f"{name} has no weights"):
            load_method(name, tmp_path / "some.safetensors")


def test_a_large_scan_is_looked_at_in_a_bounded_region(tmp_path: Path) -> None:
    shape = (300, 280, 60)
    large = volume(tmp_path, np.zeros(shape, dtype=np.float32))
    ends = [Click((5, 5, 5), Label.FOREGROUND), Click((290, 270, 55), Label.BACKGROUND)]
    everything = Region.around(large, ends)
    assert everything.image.size <= MAX_VOXELS
    extent = np.multiply(everything.image.shape, everything.spacing)
    assert extent == pytest.approx(np.multiply(shape, SPACING))
    middle = Region.around(large, [Click((150, 140, 30), Label.FOREGROUND)])
    assert all(part.stop - part.start <= size for part, size in zip(middle.box, shape, strict=True))
    assert middle.box[0] == slice(120, 181), "60 mm to each side"


def test_around_a_click_its_label_is_known_as_far_as_no_other_click_is_nearer(
    tmp_path: Path,
) -> None:
    clicks = [Click((15, 10, 5), Label.FOREGROUND), Click((18, 10, 5), Label.BACKGROUND)]
    region = Region.around(volume(tmp_path, np.zeros((40, 20, 10), dtype=np.float32)), clicks)
    assert region.spacing == SPACING, "not made coarser"
    line = region.seeds(clicks, 4.0)[:, 10, 5]
    assert line[12:22].tolist() == [-1, 1, 1, 1, 1, 0, 0, 0, 0, -1]
    across = region.seeds(clicks, 4.0)[15, 10]
    assert across[3:8].tolist() == [-1, 1, 1, 1, -1], "4 mm, at 3 mm a slice"


def test_only_borders_inside_the_scan_are_background(tmp_path: Path) -> None:
    flat = volume(tmp_path, np.zeros((100, 100, 10), dtype=np.float32))
    seeds = Region.around(flat, [Click((50, 50, 5), Label.FOREGROUND)]).seeds([])
    assert (seeds[0] == 0).all()
    assert (seeds[-1] == 0).all()
    assert (seeds[5:-5, 5:-5, 0] == -1).all(), "the scan ends there, and the lesion may go on"
    small = volume(tmp_path, np.zeros((20, 20, 10), dtype=np.float32))
    seeds = Region.around(small, [Click((10, 10, 5), Label.FOREGROUND)]).seeds([])
    assert (seeds[:, :, 0] == 0).all(), "something must be background"
