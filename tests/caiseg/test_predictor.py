from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import torch

from caiseg import (
    CAISegPredictor,
    Click,
    EncodedScan,
    InvalidInput,
    Label,
    Volume,
    load_mask,
    load_volume,
    replay_clicks,
)
from caiseg.guided_filter import GuidedFilter, GuidedFilterConfig
from tests.networks import write_scan, write_small_checkpoint

FOREGROUND = Click((10, 20, 5), Label.FOREGROUND)
BACKGROUND = Click((30, 12, 7), Label.BACKGROUND)


def click_at(voxel: npt.NDArray[np.int64], label: Label) -> Click:
    i, j, k = voxel.tolist()
    return Click((i, j, k), label)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> CAISegPredictor:
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    return CAISegPredictor.from_checkpoint(write_small_checkpoint(path))


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return load_volume(write_scan(tmp_path_factory.mktemp("scan") / "scan.nii.gz"))


@pytest.fixture(scope="module")
def scan(predictor: CAISegPredictor, volume: Volume) -> EncodedScan:
    return predictor.encode(volume)


def test_results_lie_on_the_display_grid(
    predictor: CAISegPredictor, volume: Volume, scan: EncodedScan
) -> None:
    result = predictor.segment(scan, [FOREGROUND, BACKGROUND])

    assert result.mask.shape == volume.shape
    assert result.mask.dtype == np.bool_
    assert result.probability.shape == volume.shape
    assert result.affinity.shape == (2, *volume.shape)


def test_the_mask_is_where_the_foreground_is_more_likely_than_not(
    predictor: CAISegPredictor, scan: EncodedScan
) -> None:
    result = predictor.segment(scan, [FOREGROUND])

    assert 0 <= result.probability.min() < 0.5 < result.probability.max() <= 1
    np.testing.assert_array_equal(result.mask, result.probability > 0.5)


def test_affinity_peaks_at_the_click_of_its_label(
    predictor: CAISegPredictor, scan: EncodedScan
) -> None:
    affinity = predictor.segment(scan, [FOREGROUND]).affinity

    assert affinity[Label.FOREGROUND][FOREGROUND.voxel] > 0.5
    assert affinity[Label.FOREGROUND].max() <= 1 + 1e-6
    assert not affinity[Label.BACKGROUND].any()


def test_the_same_clicks_give_the_same_mask_in_any_order_and_any_encoding(
    predictor: CAISegPredictor, volume: Volume, scan: EncodedScan
) -> None:
    clicks = [FOREGROUND, BACKGROUND, Click((20, 20, 6), Label.FOREGROUND)]
    first = predictor.segment(scan, clicks).probability

    np.testing.assert_array_equal(predictor.segment(scan, clicks[::-1]).probability, first)
    again = predictor.segment(predictor.encode(volume), clicks + clicks)
    np.testing.assert_array_equal(again.probability, first)


def test_segmenting_leaves_no_trace(predictor: CAISegPredictor, scan: EncodedScan) -> None:
    before = predictor.segment(scan, []).probability.copy()
    predictor.segment(scan, [FOREGROUND, BACKGROUND], previous_mask=before > 0.5)

    np.testing.assert_array_equal(predictor.segment(scan, []).probability, before)


def test_the_previous_mask_takes_part_once_fusion_is_learned(
    predictor: CAISegPredictor, scan: EncodedScan
) -> None:
    fusion = predictor.network.interaction.clustering.mask_fusion
    previous = np.zeros(scan.shape, dtype=bool)
    previous[5:25, 10:30, 3:9] = True
    try:
        torch.nn.init.constant_(fusion.weight, 0.3)
        without = predictor.segment(scan, [FOREGROUND]).probability
        with_mask = predictor.segment(scan, [FOREGROUND], previous_mask=previous).probability
    finally:
        torch.nn.init.zeros_(fusion.weight)

    assert np.abs(without - with_mask).max() > 1e-4


def test_a_click_changes_nothing_farther_than_a_patch_from_it(tmp_path: Path) -> None:
    path = write_small_checkpoint(
        tmp_path / "tiles.safetensors", spacing=(1.5, 1.5, 4.5), patch_size=(32, 48, 16)
    )
    predictor = CAISegPredictor.from_checkpoint(path)
    volume = load_volume(write_scan(tmp_path / "long.nii.gz", shape=(90, 48, 12)))
    scan = predictor.encode(volume)
    first = predictor.segment(scan, []).probability
    clicked = predictor.segment(scan, [Click((2, 20, 5), Label.FOREGROUND)]).probability

    assert len(scan.features.boxes) > 2
    assert np.abs(clicked - first)[:16].max() > 0
    np.testing.assert_array_equal(clicked[40:], first[40:])


def test_encoding_reports_its_progress(predictor: CAISegPredictor, volume: Volume) -> None:
    shares: list[float] = []
    predictor.encode(volume, shares.append)

    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.fixture(scope="module")
def patchwise(tmp_path_factory: pytest.TempPathFactory) -> tuple[CAISegPredictor, Volume]:
    """A checkpoint whose patches are smaller than the scan."""
    folder = tmp_path_factory.mktemp("patchwise")
    path = write_small_checkpoint(
        folder / "tiles.safetensors", spacing=(1.5, 1.5, 4.5), patch_size=(32, 48, 16)
    )
    volume = load_volume(write_scan(folder / "long.nii.gz", shape=(90, 48, 12)))
    return CAISegPredictor.from_checkpoint(path), volume


def test_the_first_mask_grows_patch_by_patch_and_is_final_where_no_other_patch_lies(
    patchwise: tuple[CAISegPredictor, Volume],
) -> None:
    predictor, volume = patchwise
    grown: list[npt.NDArray[np.bool_]] = []
    shown = predictor.encode(
        volume, first=(89, 20, 5), preview=lambda mask: grown.append(mask())
    ).masks.first

    assert len(grown) == 3
    assert grown[0].any(), "the stand-in finds something in the first patch"
    assert not grown[0][:40].any(), "only what is near the view is known by then"
    # The last patch begins at voxel 58, the one before it ends at 70.
    np.testing.assert_array_equal(grown[-1][72:], shown[72:])
    assert (grown[-1][40:] == shown[40:]).mean() > 0.95
    np.testing.assert_array_equal(shown, predictor.encode(volume).masks.first)


def test_the_first_mask_is_made_only_for_those_who_ask(
    patchwise: tuple[CAISegPredictor, Volume],
    scan: EncodedScan,
    predictor: CAISegPredictor,
    volume: Volume,
) -> None:
    several, long = patchwise
    offers: list[Callable[[], npt.NDArray[np.bool_]]] = []
    quiet = several.encode(long, preview=offers.append)
    asked = several.encode(long, preview=lambda mask: mask())
    assert len(offers) == len(quiet.features.boxes) - 1
    np.testing.assert_array_equal(quiet.masks.first, asked.masks.first)
    offers.clear()
    predictor.encode(volume, preview=offers.append)
    assert offers == [], "a single patch is shown when it is done"


def test_a_scan_answers_the_same_after_it_was_moved_to_the_cpu(
    patchwise: tuple[CAISegPredictor, Volume],
) -> None:
    predictor, volume = patchwise
    scan = predictor.encode(volume)
    moved = scan.on_cpu()
    previous = np.zeros(scan.shape, dtype=bool)
    clicks = [Click((45, 20, 5), Label.FOREGROUND), Click((60, 30, 8), Label.BACKGROUND)]
    expected = predictor.segment(scan, clicks, previous)
    np.testing.assert_array_equal(
        predictor.segment(moved, clicks, previous).probability, expected.probability
    )
    assert scan.notices == ()
    assert ["CPU" in notice for notice in moved.notices] == [True]


def test_features_are_counted_in_bytes(scan: EncodedScan) -> None:
    encoded = scan.features.scan

    assert scan.nbytes > encoded.features.nbytes + encoded.share.nbytes


def test_replaying_feeds_every_mask_to_the_next_round(
    predictor: CAISegPredictor, scan: EncodedScan
) -> None:
    clicks = [FOREGROUND, BACKGROUND]
    masks = [result.mask for result in replay_clicks(predictor, scan, clicks)]

    assert len(masks) == 3
    np.testing.assert_array_equal(masks[0], predictor.segment(scan, []).mask)
    second = predictor.segment(scan, clicks[:1], previous_mask=masks[0]).mask
    np.testing.assert_array_equal(masks[1], second)
    last = predictor.segment(scan, clicks, previous_mask=masks[1]).mask
    np.testing.assert_array_equal(masks[2], last)


@pytest.mark.parametrize("voxel", [(-1, 0, 0), (40, 0, 0), (0, 0, 12)])
def test_a_click_outside_the_scan_is_refused(
    predictor: CAISegPredictor, scan: EncodedScan, voxel: tuple[int, int, int]
) -> None:
    with pytest.raises(InvalidInput, match="outside the scan"):
        predictor.segment(scan, [Click(voxel, Label.FOREGROUND)])


def test_a_previous_mask_of_another_scan_is_refused(
    predictor: CAISegPredictor, scan: EncodedScan
) -> None:
    with pytest.raises(InvalidInput, match="previous mask has size"):
        predictor.segment(scan, [FOREGROUND], previous_mask=np.zeros((2, 2, 2), dtype=bool))


def test_a_device_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = write_small_checkpoint(tmp_path / "small.safetensors")

    with pytest.raises(InvalidInput, match="is not a device"):
        CAISegPredictor.from_checkpoint(path, device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(InvalidInput, match="no cuda device"):
            CAISegPredictor.from_checkpoint(path, device="cuda")


def test_a_constant_scan_gives_a_mask_of_its_size(
    predictor: CAISegPredictor, tmp_path: Path
) -> None:
    nib.save(nib.Nifti1Image(np.full((20, 24, 8), 7, np.int16), np.eye(4)), tmp_path / "c.nii")
    volume = load_volume(tmp_path / "c.nii")

    assert predictor.segment(predictor.encode(volume), []).mask.shape == (20, 24, 8)


def test_a_checkpoint_may_ask_for_masks_that_follow_edges(
    predictor: CAISegPredictor, volume: Volume, scan: EncodedScan, tmp_path: Path
) -> None:
    config = GuidedFilterConfig(radius_mm=4.0)
    path = write_small_checkpoint(tmp_path / "filtered.safetensors", guided_filter=config)
    filtering = CAISegPredictor.from_checkpoint(path)
    spacing = volume.reorientation.display.spacing
    edges = GuidedFilter(volume.data, spacing, config, torch.device("cpu"))

    filtered_scan = filtering.encode(volume)

    plain = predictor.segment(scan, []).mask
    np.testing.assert_array_equal(filtering.segment(filtered_scan, []).mask, edges.whole(plain))
    assert (edges.whole(plain) != plain).any()
    for clicks in ([FOREGROUND], [BACKGROUND, FOREGROUND]):
        expected = edges.whole(predictor.segment(scan, clicks, plain).mask, clicks)
        answer = filtering.segment(filtered_scan, clicks, plain).mask
        np.testing.assert_array_equal(answer, expected)
    np.testing.assert_array_equal(filtered_scan.masks.network_first, plain)


def test_blockwise_answers_equal_dense_ones_on_real_scans(
    repository: Path, data_folder: Path
) -> None:
    served = repository / "assets" / "checkpoints" / "brain-flair.safetensors"
    blockwise = CAISegPredictor.from_checkpoint(served)
    dense = CAISegPredictor(
        blockwise.network, blockwise.preprocessing, guided_filter=blockwise.guided_filter,
        reach_mm=blockwise.reach_mm, dense=True,
    )  # fmt: skip
    cases = sorted((data_folder / "lgg_flair").iterdir())[:2]
    for case in cases:
        volume = load_volume(case / "image.nii.gz")
        lesion = load_mask(case / "mask.nii.gz", volume)
        ours, theirs = blockwise.encode(volume), dense.encode(volume)
        inside, outside = (np.argwhere(region) for region in (lesion, ~lesion))
        clicks = [
            click_at(inside[len(inside) // 2], Label.FOREGROUND),
            click_at(outside[len(outside) // 2], Label.BACKGROUND),
            click_at(inside[len(inside) // 4], Label.FOREGROUND),
        ]
        for result, expected in zip(
            replay_clicks(blockwise, ours, clicks),
            replay_clicks(dense, theirs, clicks),
            strict=True,
        ):
            overlap = 2 * np.sum(result.mask & expected.mask)
            assert overlap >= 0.999 * (result.mask.sum() + expected.mask.sum())
            assert np.abs(result.probability - expected.probability).max() <= 0.011


def test_warming_up_leaves_no_trace(predictor: CAISegPredictor, scan: EncodedScan) -> None:
    before = predictor.segment(scan, [FOREGROUND]).probability
    predictor.warm_up()

    np.testing.assert_array_equal(predictor.segment(scan, [FOREGROUND]).probability, before)
