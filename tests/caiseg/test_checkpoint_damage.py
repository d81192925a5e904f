"""Of a checkpoint nothing is believed before it has been checked."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from caiseg import checkpoint
from caiseg.checkpoint import MAX_FILE_BYTES, load_checkpoint
from caiseg.errors import InvalidInput
from caiseg.network import CAISeg
from caiseg.network_config import NetworkConfig
from tests.caiseg.checkpoint_files import Weights, rewrite


def raw_safetensors(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def refusal(path: Path) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(InvalidInput) as caught:
        load_checkpoint(path)
    sentence = str(caught.value)
    assert path.name in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not re.search(r"\.\s+[A-Z]", sentence), f"more than one sentence: {sentence}"
    return sentence


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.999])
def test_a_file_cut_short_is_refused(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    refusal(saved)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    refusal(tmp_path / "folder.safetensors")


def test_a_tensor_of_another_shape_is_named(saved: Path) -> None:
    def widen(weights: Weights, info: dict[str, Any]) -> None:
        weights["head_features.queries"] = torch.zeros(3, 32)

    rewrite(saved, widen)
    sentence = refusal(saved)
    assert "head_features.queries has shape [3, 32], not [2, 32]" in sentence


def test_an_extra_and_a_missing_tensor_are_named(saved: Path) -> None:
    rewrite(saved, lambda weights, info: weights.update(extra=torch.zeros(1)))
    assert "tensor extra is missing or unknown" in refusal(saved)

    def swap(weights: Weights, info: dict[str, Any]) -> None:
        del weights["extra"], weights["head_features.queries"]

    rewrite(saved, swap)
    assert "tensor head_features.queries is missing or unknown" in refusal(saved)


def test_integer_weights_are_refused(saved: Path) -> None:
    def round_off(weights: Weights, info: dict[str, Any]) -> None:
        weights["head_features.queries"] = torch.zeros(2, 32, dtype=torch.int64)

    rewrite(saved, round_off)
    assert "head_features.queries is not floating point" in refusal(saved)


def test_patches_that_no_memory_holds_are_refused(saved: Path) -> None:
    def enlarge(weights: Weights, info: dict[str, Any]) -> None:
        info["network"].update(base_channels=64)
        info["preprocessing"].update(patch_size=[512, 512, 512])

    rewrite(saved, enlarge)
    assert "take smaller patches" in refusal(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_numbers_are_refused(saved: Path, value: float) -> None:
    def spoil(weights: Weights, info: dict[str, Any]) -> None:
        weights["head_features.queries"][1, 5] = value

    rewrite(saved, spoil)
    assert "weights that are not numbers" in refusal(saved)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    rewrite(saved, lambda weights, info: info["network"].update(base_channels=4))
    assert "has shape" in refusal(saved)


def test_any_other_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})
    assert "no CAISeg description" in refusal(path)
    save_file({"weight": torch.zeros(3)}, path)
    assert "no CAISeg description" in refusal(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"network": {"base_channels": 10**6}}, "network.base_channels"),
        ({"network": {"kernel_size": 10**6 + 1}}, "network.kernel_size"),
        ({"network": {"affinity_heads": 10**9}}, "network.affinity_heads"),
        ({"network": {"alpha": [1.0] * 100_000}}, "network"),
        ({"network": {"strides": [[2, 2, 10**9]] * 4}}, "network.strides"),
        ({"preprocessing": {"patch_size": [10**6, 16, 16]}}, "preprocessing.patch_size.0"),
        ({"preprocessing": {"spacing": [1e-30, 1.0, 1.0]}}, "preprocessing.spacing.0"),
        ({"preprocessing": {"modality": "US"}}, "preprocessing.modality"),
        ({"format_version": 2}, "format_version"),
        ({"name": "x" * 101}, "name"),
        ({"command": "rm"}, "command"),
    ],
)
def test_an_absurd_description_is_refused_before_a_network_is_built(
    saved: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], named: str
) -> None:
    def apply(weights: Weights, info: dict[str, Any]) -> None:
        for key, value in change.items():
            if isinstance(value, dict):
                info[key].update(value)
            else:
                info[key] = value

    def never(config: NetworkConfig) -> CAISeg:
        raise AssertionError("a network was built from a description that is not valid")

    rewrite(saved, apply)
    monkeypatch.setattr(checkpoint, "CAISeg", never)
    assert f"{named}:" in refusal(saved)


def test_a_description_larger_than_its_weights_allocates_nothing(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enlarge(weights: Weights, info: dict[str, Any]) -> None:
        info["network"].update(base_channels=64, kernel_size=7)

    class WithoutStorage(CAISeg):
        def __init__(self, config: NetworkConfig):
            assert torch.empty(1).device.type == "meta", "weights were allocated"
            super().__init__(config)

    rewrite(saved, enlarge)
    monkeypatch.setattr(checkpoint, "CAISeg", WithoutStorage)
    assert "has shape" in refusal(saved)


NO_DESCRIPTION = {"empty": "", "cut": "{", "list": "[]", "null": "null", "deep": '{"a":' * 5000}


@pytest.mark.parametrize("document", NO_DESCRIPTION.values(), ids=NO_DESCRIPTION)
def test_a_description_that_is_no_json_object_is_refused(tmp_path: Path, document: str) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"caiseg": document})
    assert "not a checkpoint that this version reads" in refusal(path)


def tensor_header(shape: str, end: int = 4) -> bytes:
    entry = f'{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}'
    return raw_safetensors(entry.encode(), b"1234")


HOSTILE = {
    "empty": b"",
    "shorter than its prefix": b"1234567",
    "not a container": b"\xff" * 64,
    "a header of exabytes": struct.pack("<Q", 2**63) + b"{}",
    "a header of a terabyte": struct.pack("<Q", 2**40) + b"{}",
    "no header": raw_safetensors(b""),
    "deep lists": raw_safetensors(b"[" * 100_000),
    "deep objects": raw_safetensors(b'{"a":' * 100_000),
    "not text": raw_safetensors(b"\xff\xfe{}"),
    "an enormous shape": tensor_header("[1000000000,1000000000]"),
    "a shape of text": tensor_header('["a",100000000000]'),
    "a negative shape": tensor_header("[-1,-1]"),
    "a tensor beyond the end": tensor_header("[100]", end=400),
    "a description that is a number": raw_safetensors(b'{"__metadata__":{"caiseg":7}}'),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    refusal(path)


def test_an_enormous_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as stream:
        stream.write(raw_safetensors(b"{}"))
        stream.truncate(MAX_FILE_BYTES + 1)
    assert "is not a CAISeg checkpoint" in refusal(path)


class Exploit:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_renamed_pickle_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, target = tmp_path / "x.safetensors", tmp_path / "exploited"
    torch.save({"weights": Exploit(target)}, path, _use_new_zipfile_serialization=zipped)
    assert "is not a CAISeg checkpoint" in refusal(path)
    assert not target.exists()
