"""Networks of other projects, each played by a stand-in module that keeps their contract."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from caiseg import Click, InvalidInput, Label, Volume, load_volume
from train.methods import METHODS, load_method

EXTERNAL = {
    "nnunet": "nnunetv2.inference.predict_from_raw_data",
    "nninteractive": "nnInteractive.inference.inference_session",
    "sam_med3d": "medim",
    "medsam": "segment_anything",
}
SHAPE = (30, 24, 10)
SPACING = (2.0, 3.0, 5.0)
FOREGROUND = Click((12, 9, 4), Label.FOREGROUND)
BACKGROUND = Click((20, 14, 7), Label.BACKGROUND)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    """A scan stored as LPS whose intensities say where a voxel is."""
    i, j, k = np.indices(SHAPE)
    data = (i + 100 * j + 10000 * k).astype(np.float32)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(data, affine), path)
    return load_volume(path)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "fold_0.pth").write_bytes(b"weights")
    return folder


def install(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    """Put a stand-in, and the packages that it lies in, where ``import`` looks."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        dotted = ".".join(parts[:count])
        monkeypatch.setitem(sys.modules, dotted, ModuleType(dotted))
    for key, value in contents.items():
        setattr(sys.modules[name], key, value)


@pytest.mark.parametrize("method", EXTERNAL)
def test_what_is_missing_is_said_in_a_sentence(
    method: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert METHODS[method].weights == "own"
    monkeypatch.setitem(sys.modules, EXTERNAL[method].split(".")[0], None)
    with pytest.raises(InvalidInput, match=f"run pip install .*--checkpoint {method}=PATH"):
        load_method(method, weights, "cpu")
    install(monkeypatch, EXTERNAL[method])
    with pytest.raises(InvalidInput, match=f"get .* and name it with --checkpoint {method}=PATH"):
        load_method(method, None, "cpu")
    with pytest.raises(InvalidInput, match=r"nothing\.pth does not exist"):
        load_method(method, weights / "nothing.pth", "cpu")


def test_nnunet_gets_the_scan_as_its_reader_would_give_it(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Predictor:
        def __init__(self, **settings: Any):
            assert settings["device"] == torch.device("cpu")

        def initialize_from_trained_model_folder(self, folder: str, use_folds: Any) -> None:
            assert folder == str(weights)
            assert use_folds is None

        def predict_single_npy_array(self, image: Any, properties: Any) -> Any:
            self.image, self.properties = image, properties
            return (image[0] >= 30000).astype(np.uint8)

    install(monkeypatch, EXTERNAL["nnunet"], nnUNetPredictor=Predictor)
    loaded = load_method("nnunet", weights, "cpu")
    encoded = loaded.method.encode(volume)
    predictor = loaded.method._predictor  # type: ignore[attr-defined]
    assert predictor.image.shape == (1, *reversed(SHAPE))
    assert predictor.properties == {"spacing": list(reversed(SPACING))}
    assert predictor.image[0, 0, 0, :3].tolist() == [0, 1, 2], "the order of the file"
    mask = loaded.method.segment(encoded, (FOREGROUND,)).mask
    assert np.array_equal(mask, volume.data >= 30000)


class NNInteractiveSession:
    """Remembers what it was told; every point leaves its label in the target buffer."""

    def __init__(self, **settings: Any):
        self.calls: list[Any] = []

    def initialize_from_trained_model_folder(self, folder: str) -> None:
        self.folder = folder

    def set_image(self, image: Any) -> None:
        self.image = image

    def set_target_buffer(self, buffer: Tensor) -> None:
        self.target_buffer = buffer

    def reset_interactions(self) -> None:
        self.target_buffer.zero_()
        self.calls.append("reset")

    def add_point_interaction(self, place: tuple[int, int, int], include_interaction: bool) -> None:
        self.target_buffer[place] = include_interaction
        self.calls.append((place, include_interaction))


def test_nninteractive_is_told_each_click_once(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        monkeypatch, EXTERNAL["nninteractive"], nnInteractiveInferenceSession=NNInteractiveSession
    )
    loaded = load_method("nninteractive", weights, "cpu")
    method: Any = loaded.method
    session = method._session
    scan = method.encode(volume)
    assert np.array_equal(session.image[0], volume.data), "as it is"
    assert not method.segment(scan, ()).mask.any()
    mask = method.segment(scan, (FOREGROUND,)).mask
    assert np.argwhere(mask).tolist() == [list(FOREGROUND.voxel)]
    method.segment(scan, (FOREGROUND, BACKGROUND), mask)
    assert session.calls == [(FOREGROUND.voxel, True), (BACKGROUND.voxel, False)]
    assert not method.segment(scan, (BACKGROUND,)).mask.any(), "another session from the start"
    assert session.calls[2:] == ["reset", (BACKGROUND.voxel, False)]

    other = method.encode(volume)
    method.segment(other, (FOREGROUND,))
    assert method.segment(scan, (BACKGROUND,)).mask.sum() == 0, "scans do not mix"


class PromptEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    def forward(self, points: Any, boxes: Any, masks: Any) -> tuple[Any, Any]:
        self.asked.append({"points": points, "boxes": boxes, "masks": masks})
        return points, boxes

    def get_dense_pe(self) -> Tensor:
        return torch.zeros(1)


class ImageEncoder(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        self.image = image
        return image


def model_of(decode: Any) -> nn.Module:
    class MaskDecoder(nn.Module):
        def forward(
            self, image_embeddings: Tensor, image_pe: Tensor, sparse_prompt_embeddings: Any,
            dense_prompt_embeddings: Any, multimask_output: bool | None = None,
        ) -> tuple[Tensor, None]:  # fmt: skip
            return decode(image_embeddings, sparse_prompt_embeddings), None

    model = nn.Module()
    model.image_encoder = ImageEncoder()
    model.prompt_encoder = PromptEncoder()
    model.mask_decoder = MaskDecoder()
    return model


def test_sam_med3d_sees_a_cube_around_the_first_foreground_click(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bright_at_the_points(embedding: Tensor, points: Sequence[Tensor]) -> Tensor:
        low = torch.full((1, 1, 32, 32, 32), -1.0)
        for place, label in zip(points[0][0].long().tolist(), points[1][0].tolist(), strict=True):
            a, b, c = (index // 4 for index in place)
            low[0, 0, a, b, c] = 20.0 * label - 10
        return low

    model = model_of(bright_at_the_points)
    created = SimpleNamespace()

    def create_model(name: str, pretrained: bool, checkpoint_path: str) -> nn.Module:
        created.name, created.path = name, checkpoint_path
        return model

    install(monkeypatch, "medim", create_model=create_model)
    method = load_method("sam_med3d", weights / "fold_0.pth", "cpu").method
    assert created.name == "SAM-Med3D"
    scan = method.encode(volume)
    assert not method.segment(scan, (BACKGROUND,)).mask.any()
    mask = method.segment(scan, (FOREGROUND,)).mask
    prompts: Any = model.prompt_encoder
    assert prompts.asked[0]["points"][0].tolist() == [[[64, 64, 64]]], "the cube's middle"
    assert prompts.asked[0]["points"][1].tolist() == [[1]]
    assert not prompts.asked[0]["masks"].any()
    centre = np.argwhere(mask).mean(axis=0)
    assert np.abs((centre - FOREGROUND.voxel) * SPACING).max() < 6, "a coarse cell is 6 mm"
    assert mask[FOREGROUND.voxel]

    method.segment(scan, (FOREGROUND, BACKGROUND), mask)
    points, labels = prompts.asked[1]["points"]
    assert labels.tolist() == [[1, 0]]
    offset = (np.array(BACKGROUND.voxel) - FOREGROUND.voxel) * SPACING / 1.5
    assert points[0, 1].numpy()[::-1] - 64 == pytest.approx(offset, abs=1)
    assert prompts.asked[1]["masks"].shape == (1, 1, 32, 32, 32)
    assert prompts.asked[1]["masks"].any(), "the last answer is the next mask prompt"


def test_medsam_fills_a_box_around_the_foreground_clicks(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(lambda embedding, points: torch.ones(1, 1, 256, 256))
    registry = {"vit_b": lambda checkpoint: model}
    install(monkeypatch, "segment_anything", sam_model_registry=registry)
    method = load_method("medsam", weights / "fold_0.pth", "cpu").method
    scan = method.encode(volume)
    assert not method.segment(scan, (BACKGROUND,)).mask.any()
    mask = method.segment(scan, (FOREGROUND, BACKGROUND)).mask
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == list(range(1, 8)), "15 mm up and down"
    prompts: Any = model.prompt_encoder
    left, top, right, bottom = prompts.asked[0]["boxes"][0, 0].tolist()
    # 12 voxels and 9 from the right and the back edge of the box's far side, seen from below.
    assert (left, right) == pytest.approx(((30 - 21) * 1024 / 30, (30 - 4) * 1024 / 30))
    assert (top, bottom) == pytest.approx(((24 - 15) * 1024 / 24, (24 - 4) * 1024 / 24))


def test_medsam_sees_slices_as_radiologists_do(
    volume: Volume, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def right_anterior_quarter(embedding: Tensor, points: Any) -> Tensor:
        logits = torch.full((1, 1, 256, 256), -1.0)
        logits[:, :, :128, :128] = 1
        return logits

    model = model_of(right_anterior_quarter)
    install(
        monkeypatch, "segment_anything",
        sam_model_registry={"vit_b": lambda checkpoint: model},
    )  # fmt: skip
    method = load_method("medsam", weights / "fold_0.pth", "cpu").method
    mask = method.segment(method.encode(volume), (FOREGROUND,)).mask
    places = np.argwhere(mask)
    assert places[:, 0].min() == SHAPE[0] // 2, "the picture's left is the patient's right"
    assert places[:, 1].min() == SHAPE[1] // 2, "the picture's top is the front"
    encoder: Any = model.image_encoder
    picture = encoder.image[0, 0]
    assert picture[0, 0] > picture[-1, -1] or picture.min() >= 0
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
