"""Heat maps: what they show, and that they survive the way to the page."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from app.maps import HeatMap, Uncertainty, affinity_of_last_click, foreground_probability
from caiseg import CAISegPredictor, Click, EncodedScan, InvalidInput, Label, Volume, load_volume
from caiseg.annotation.actions import Add, Draw, NewObject
from caiseg.annotation.brush import Stroke
from caiseg.annotation.session import AnnotationSession
from caiseg.annotation.session_file import answering
from tests.networks import write_scan, write_small_checkpoint

FIRST = Click((10, 20, 5), Label.FOREGROUND)
LAST = Click((30, 12, 7), Label.BACKGROUND)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return load_volume(write_scan(tmp_path_factory.mktemp("scan") / "scan.nii.gz"))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> CAISegPredictor:
    folder = tmp_path_factory.mktemp("checkpoint")
    return CAISegPredictor.from_checkpoint(write_small_checkpoint(folder / "small.safetensors"))


@pytest.fixture(scope="module")
def encoded(predictor: CAISegPredictor, volume: Volume) -> EncodedScan:
    return predictor.encode(volume)


def session(
    predictor: CAISegPredictor, encoded: EncodedScan, volume: Volume, *actions: Add | Draw
) -> AnnotationSession:
    segment = answering(predictor, encoded)
    return AnnotationSession.from_log(actions, segment, volume.spacing)


def test_the_probability_is_that_of_the_answer_on_screen(
    predictor: CAISegPredictor, encoded: EncodedScan, volume: Volume
) -> None:
    stroke = Draw(Stroke(True, ((20, 20, 5),), 8.0))
    shown = session(predictor, encoded, volume, Add((FIRST,)), Add((LAST,)))
    drawn = session(predictor, encoded, volume, Add((FIRST,)), Add((LAST,)), stroke)
    probability = foreground_probability(predictor, encoded, shown.current)
    np.testing.assert_array_equal(probability > 0.5, shown.current.mask.unpack())
    np.testing.assert_array_equal(
        probability, foreground_probability(predictor, encoded, drawn.current)
    )


def test_the_affinity_is_highest_at_the_last_click(
    predictor: CAISegPredictor, encoded: EncodedScan, volume: Volume
) -> None:
    shown = session(predictor, encoded, volume, Add((FIRST,)), Add((LAST,)))
    affinity = affinity_of_last_click(predictor, encoded, shown.current)
    assert affinity.shape == volume.shape
    place = np.unravel_index(affinity.argmax(), affinity.shape)
    distance = (np.array(place) - LAST.voxel) * volume.spacing
    # One voxel of the features, on which it is computed.
    assert np.all(np.abs(distance) <= 8.5)
    assert affinity[LAST.voxel] > affinity[FIRST.voxel]


def test_without_a_click_there_is_no_affinity(
    predictor: CAISegPredictor, encoded: EncodedScan, volume: Volume
) -> None:
    present = session(predictor, encoded, volume).current
    with pytest.raises(InvalidInput, match="click on the scan first"):
        affinity_of_last_click(predictor, encoded, present)
    assert foreground_probability(predictor, encoded, present).shape == volume.shape


def test_an_object_that_was_never_clicked_on_has_no_probability(
    predictor: CAISegPredictor, encoded: EncodedScan, volume: Volume
) -> None:
    started = session(predictor, encoded, volume)
    started.apply(NewObject(), answering(predictor, encoded))
    with pytest.raises(InvalidInput, match="click on it first"):
        foreground_probability(predictor, encoded, started.current)


def test_a_map_is_cropped_and_kept_to_one_part_in_255() -> None:
    values = np.zeros((7, 9, 5), np.float32)
    values[2:5, 3:7, 1:3] = np.random.default_rng(0).uniform(0.01, 1, (3, 4, 2))
    packed = HeatMap.of(values)
    assert packed.to_json() == {"start": [2, 3, 1], "size": [3, 4, 2]}
    flat = np.frombuffer(gzip.decompress(packed.payload()), np.uint8)
    crop = flat.reshape((3, 4, 2), order="F") / 255
    np.testing.assert_allclose(crop, values[2:5, 3:7, 1:3], atol=0.5 / 255 + 1e-6)


def test_an_empty_map_has_no_voxels() -> None:
    packed = HeatMap.of(np.zeros((4, 4, 4), np.float32))
    assert packed.to_json() == {"start": [0, 0, 0], "size": [0, 0, 0]}
    assert gzip.decompress(packed.payload()) == b""


def test_the_most_uncertain_slice_has_most_undecided_voxels() -> None:
    probability = np.zeros((12, 12, 6), np.float32)
    probability[2:5, 2:5, 1] = 0.5
    # A ring: its middle is decided.
    probability[4:9, 4:9, 4] = 0.6
    probability[5:8, 5:8, 4] = 0.9
    found = Uncertainty.of(probability)
    np.testing.assert_array_equal(found.mask.unpack(), (probability > 0.3) & (probability < 0.7))
    assert found.most is not None
    assert found.most[2] == 4
    assert probability[found.most] == np.float32(0.6)


def test_where_everything_is_decided_there_is_no_uncertain_slice() -> None:
    assert Uncertainty.of(np.ones((3, 3, 3), np.float32)).most is None
