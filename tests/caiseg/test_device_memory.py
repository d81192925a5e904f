"""A GPU that runs out of memory: smaller patches, then the CPU, and a word about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caiseg import (
    CAISegPredictor,
    Click,
    EncodedScan,
    InvalidInput,
    Label,
    Volume,
    display_masks,
    load_volume,
)
from caiseg.device_memory import Attempt, encode_within_memory, encoding_bytes, features_bytes
from caiseg.encoded_features import EncodedFeatures
from caiseg.guided_filter import GuidedFilter, GuidedFilterConfig
from caiseg.network import CAISeg
from caiseg.patch_encoding import PatchEncoder
from caiseg.vnet import LastStage
from tests.networks import write_scan, write_small_checkpoint

GPU = torch.device("cuda")
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."
CLICKS = [Click((10, 20, 5), Label.FOREGROUND)]


class FullGPU:
    """A GPU that this machine does not have: its tensors lie on the CPU, and its memory is short.

    Args:
        monkeypatch: Puts it in place.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._monkeypatch = monkeypatch
        self.refusals = 0
        to = torch.Tensor.to

        def moved(tensor: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
            return tensor if given == (GPU,) else to(tensor, *given, **named)

        monkeypatch.setattr(torch.Tensor, "to", moved)
        monkeypatch.setattr(torch.accelerator, "empty_cache", lambda: None)

    def refuse(self, owner: Any, step: str, times: int, error: type[RuntimeError]) -> None:
        """Let a step of the encoding end for want of memory so many times."""
        work = getattr(owner, step)

        def limited(*given: Any, **named: Any) -> Any:
            asked_for = owner is not torch.Tensor or given[1:] == (GPU,)
            if asked_for and self.refusals < times:
                self.refusals += 1
                raise error(FULL)
            return work(*given, **named)

        self._monkeypatch.setattr(owner, step, limited)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FullGPU:
    return FullGPU(monkeypatch)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "small.safetensors"
    return write_small_checkpoint(
        path, spacing=(1.5, 1.5, 4.5), guided_filter=GuidedFilterConfig(radius_mm=4.0)
    )


@pytest.fixture
def on_gpu(checkpoint: Path) -> CAISegPredictor:
    made = CAISegPredictor.from_checkpoint(checkpoint)
    made.device = GPU
    return made


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return load_volume(write_scan(tmp_path_factory.mktemp("scans") / "scan.nii.gz", (40, 48, 12)))


@pytest.fixture(scope="module")
def unhindered(checkpoint: Path, volume: Volume) -> EncodedScan:
    return CAISegPredictor.from_checkpoint(checkpoint).encode(volume)


STEPS = {
    "the scan moves to the GPU": (torch.Tensor, "to"),
    "a patch is encoded": (CAISeg, "encode"),
    "patches are blended": (PatchEncoder, "_blended"),
    "the scan is answered without clicks": (LastStage, "answer"),
    "the mask is brought to the scan's voxels": (display_masks, "write_mask"),
    "the mask is drawn to edges": (GuidedFilter, "_filtered"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_no_step_of_encoding_ends_for_want_of_memory(
    gpu: FullGPU,
    on_gpu: CAISegPredictor,
    volume: Volume,
    unhindered: EncodedScan,
    step: str,
    error: type[RuntimeError],
) -> None:
    gpu.refuse(*STEPS[step], times=1, error=error)
    smaller = on_gpu.encode(volume)
    assert ["smaller patches" in notice for notice in smaller.notices] == [True]
    assert len(smaller.features.boxes) > len(unhindered.features.boxes)
    assert on_gpu.segment(smaller, CLICKS).mask[10, 20, 5]

    gpu.refuse(*STEPS[step], times=3, error=error)
    on_cpu = on_gpu.encode(volume)
    assert ["on the CPU" in notice for notice in on_cpu.notices] == [True]
    np.testing.assert_array_equal(on_cpu.masks.first, unhindered.masks.first)
    np.testing.assert_array_equal(
        on_gpu.segment(on_cpu, CLICKS).mask, on_gpu.segment(unhindered, CLICKS).mask
    )


def test_a_mask_that_grows_on_screen_ends_no_encoding_either(
    gpu: FullGPU, on_gpu: CAISegPredictor, volume: Volume, unhindered: EncodedScan
) -> None:
    looks = []

    def look(mask: Any) -> None:
        looks.append(mask())
        raise torch.OutOfMemoryError(FULL)

    gpu.refuse(CAISeg, "encode", times=1, error=torch.OutOfMemoryError)
    encoded = on_gpu.encode(volume, preview=look)
    assert len(looks) == 1, "once in smaller patches; on the CPU there is a single one"
    np.testing.assert_array_equal(encoded.masks.first, unhindered.masks.first)


def patches_bytes(made: CAISegPredictor, features: EncodedFeatures) -> int:
    """Bytes of the patches that the features were blended from; of a single one, none more."""
    if len(features.boxes) == 1:
        return 0
    sizes = [[part.stop - part.start for part in box] for box in features.boxes]
    encoded = [made.network.encode(torch.zeros(1, 1, *size)).stored(torch.half) for size in sizes]
    return sum(patch.nbytes - patch.head_features.nbytes for patch in encoded)


@pytest.mark.parametrize("patch_size", [(64, 64, 32), (32, 32, 16)])
def test_a_scan_that_would_fill_the_memory_is_refused_before_it_is_encoded(
    checkpoint: Path, volume: Volume, patch_size: tuple[int, int, int]
) -> None:
    made = CAISegPredictor.from_checkpoint(checkpoint)
    made.preprocessing = made.preprocessing.model_copy(update={"patch_size": patch_size})
    features = made.encode(volume).features
    held = features_bytes(made.network.config, features.shape, patch_size)
    assert held == features.nbytes - features.scan.head_features.nbytes
    needed = encoding_bytes(made.network.config, features.shape, patch_size)
    # Patches are blended to skip features; what these add takes twice as much, and is kept.
    skip = features.scan.share.nbytes // 2
    assert needed == max(held - skip + patches_bytes(made, features), held + skip)
    made.encode(volume, max_bytes=needed)
    begun: list[float] = []
    with pytest.raises(InvalidInput, match="check the spacing"):
        made.encode(volume, begun.append, max_bytes=needed - 1)
    assert begun == []


@pytest.mark.parametrize("step", [(CAISeg, "encode"), (EncodedFeatures, "answer")])
def test_a_full_gpu_does_not_keep_the_server_from_starting(
    gpu: FullGPU, on_gpu: CAISegPredictor, step: tuple[Any, str]
) -> None:
    gpu.refuse(*step, times=2, error=torch.OutOfMemoryError)
    on_gpu.warm_up()
    assert gpu.refusals == 2


def attempts(on_gpu: CAISegPredictor, room: int) -> list[Attempt]:
    """What is tried on a GPU that holds patches of up to so many voxels a side."""
    tried: list[Attempt] = []

    def encode(attempt: Attempt) -> None:
        tried.append(attempt)
        if attempt.device == GPU and max(attempt.patch_size) > room:
            raise torch.OutOfMemoryError(FULL)

    encode_within_memory(Attempt(on_gpu.network, GPU, (128, 64, 32)), encode)
    return tried


def test_patches_are_halved_before_the_cpu_encodes_them_whole(
    gpu: FullGPU, on_gpu: CAISegPredictor
) -> None:
    assert [attempt.patch_size for attempt in attempts(on_gpu, room=40)] == [
        (128, 64, 32),
        (64, 32, 32),
        (32, 32, 32),
    ]
    last = attempts(on_gpu, room=0)[-1]
    assert last.device.type == "cpu"
    assert last.patch_size == (128, 64, 32)
    (alone,) = attempts(on_gpu, room=128)
    assert alone.notices == ()


def test_a_network_moves_to_the_cpu_without_a_copy_where_it_is(on_gpu: CAISegPredictor) -> None:
    moved = on_gpu.network.on_cpu()
    weights = on_gpu.network.state_dict()
    for name, tensor in moved.state_dict().items():
        assert tensor.data_ptr() == weights[name].data_ptr(), name
    assert not moved.training


@pytest.mark.parametrize(
    ("device", "error"),
    [
        (torch.device("cpu"), torch.OutOfMemoryError("out of memory")),
        (GPU, RuntimeError("The size of tensor a must match that of tensor b.")),
    ],
)
def test_other_faults_and_a_cpu_without_memory_are_not_hidden(
    on_gpu: CAISegPredictor, device: torch.device, error: RuntimeError
) -> None:
    def fail(_: Attempt) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        encode_within_memory(Attempt(on_gpu.network, device, (64, 64, 32)), fail)
