"""Encoding shows the mask so far for next to nothing; clicks go on without GPU memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from app import replies
from app.background import apart
from app.metrics import Metrics
from app.network_work import PREVIEW_SHARE, NetworkWork, Preview
from app.store import ResidentScan
from app.turns import Turns
from caiseg import CAISegPredictor, Click, EncodedScan, InvalidInput, Label, load_volume
from caiseg.annotation.packed_mask import PackedMask
from caiseg.encoded_features import EncodedFeatures
from tests.app.stand_in import StandInPredictor
from tests.networks import write_scan as write_smooth_scan
from tests.networks import write_small_checkpoint


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def network(metrics: Metrics) -> NetworkWork:
    return NetworkWork(Turns(), metrics)


def test_the_mask_so_far_takes_its_small_share_of_the_time_and_no_more() -> None:
    now, looks = 0.0, 0

    def look() -> Any:
        nonlocal now, looks
        now, looks = now + 0.1, looks + 1
        return np.ones((2, 2, 2), dtype=bool)

    preview = Preview(clock=lambda: now)
    while now < 100:
        now += 0.25
        preview.offer(look)
    assert looks > 10
    assert 0.1 * looks <= 1.1 * PREVIEW_SHARE * now


class UnhurriedPredictor(StandInPredictor):
    """Encodes the rest of the scan once somebody has seen the first part."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.Event()

    def encode(self, *given: Any, **settings: Any) -> Any:
        encoded = super().encode(*given, **settings)
        assert self.seen.wait(timeout=30)
        return encoded


def test_a_scan_is_shown_patch_by_patch_beginning_at_the_view(
    network: NetworkWork, blob: Path
) -> None:
    stand_in, volume = UnhurriedPredictor(), load_volume(blob)
    predictor = cast(CAISegPredictor, stand_in)
    grown = []
    for update in network.encode(predictor, volume, near=(3.0, 4.0, 5.0), scan_id="it"):
        if part := replies.documents(update).get("server_growing"):
            grown.append(part)
            stand_in.seen.set()
    assert [part["scan"] for part in grown] == ["it"]
    shown = PackedMask.from_json(grown[0]["mask"]).unpack()
    np.testing.assert_array_equal(shown[..., :5], volume.data[..., :5] > 100)
    assert not shown[..., 5:].any()
    assert stand_in.begun_at == (3.0, 4.0, 5.0)


def test_the_mask_on_screen_stays_until_the_new_one_is_whole(
    network: NetworkWork, blob: Path
) -> None:
    predictor, volume = cast(CAISegPredictor, StandInPredictor()), load_volume(blob)
    updates = network.encode(predictor, volume, near=(0.0, 0.0, 0.0))
    assert not any("server_growing" in replies.documents(update) for update in updates)


def test_whoever_asks_is_answered_in_the_same_thread(network: NetworkWork) -> None:
    resident = cast(ResidentScan, SimpleNamespace(encoded=None))
    with ThreadPoolExecutor(3) as people:
        everybody = threading.Barrier(3)

        def person() -> int:
            everybody.wait()
            return network.ask(resident, lambda _: here())

        answered = {asking.result() for asking in [people.submit(person) for _ in range(3)]}
    assert len(answered) == 1
    assert here() not in answered


def test_what_is_done_apart_leaves_no_thread_behind() -> None:
    before = threading.enumerate()
    thread = apart(threading.current_thread)
    assert thread not in before
    assert not thread.is_alive()
    with pytest.raises(InvalidInput, match="no such scan"):
        apart(lambda: refuse("no such scan"))


def here() -> int:
    return threading.get_ident()


def refuse(sentence: str) -> None:
    raise InvalidInput(sentence)


def test_clicks_go_on_on_the_cpu_when_the_gpu_is_full(
    network: NetworkWork, metrics: Metrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = CAISegPredictor.from_checkpoint(
        write_small_checkpoint(tmp_path / "small.safetensors")
    )
    volume = load_volume(write_smooth_scan(tmp_path / "scan.nii.gz"))
    clicks = [Click((10, 20, 5), Label.FOREGROUND)]
    full = predictor.encode(volume)
    expected = predictor.segment(full, clicks).mask
    answer = EncodedFeatures.answer

    def limited(features: EncodedFeatures, *given: Any) -> Any:
        if features is full.features:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return answer(features, *given)

    monkeypatch.setattr(EncodedFeatures, "answer", limited)
    resident = ResidentScan(volume, full)
    with pytest.raises(torch.OutOfMemoryError):
        network.answering(predictor, resident)(clicks, None)

    monkeypatch.setattr(EncodedScan, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "empty_cache", lambda: None)
    mask = network.answering(predictor, resident)(clicks, None)
    np.testing.assert_array_equal(mask, expected)
    assert ["CPU" in notice for notice in resident.encoded.notices] == [True]
    assert b"caiseg_gpu_fallbacks_total 1.0" in metrics.text()


def test_the_network_is_free_again_after_a_failure(network: NetworkWork, blob: Path) -> None:
    resident = ResidentScan(load_volume(blob), cast(Any, SimpleNamespace()))

    def fail(_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        network.ask(resident, fail)
    assert network.ask(resident, lambda _: "answer") == "answer"
