"""What is missing, or is not what it should be, is said in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from caiseg import InvalidInput
from tests.train.methods.external.stand_ins import install, model_of
from train.methods import METHODS, load_method

EXTERNAL = {
    "nnunet": "nnunetv2.inference.predict_from_raw_data",
    "nninteractive": "nnInteractive.inference.inference_session",
    "sam_med3d": "medim",
    "medsam": "segment_anything",
}


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


class Dangerous:
    """Would run code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code of the file was run')",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no weights", "holds no weights that can be read"),
        (Dangerous(), "holds no weights that can be read"),
        ({"another.weight": torch.ones(1)}, "holds .* another network, without image_encoder"),
        ({"image_encoder.weight": torch.ones(7)}, "holds no weights that can be read"),
    ],
    ids=["damaged", "dangerous", "another network", "other sizes"],
)
def test_weights_that_do_not_fit_are_refused_in_a_sentence(
    content: Any, sentence: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights / "fold_0.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    model = model_of(None)
    registry = {"vit_b": lambda checkpoint=None: model}
    install(monkeypatch, "segment_anything", sam_model_registry=registry)
    with pytest.raises(InvalidInput, match=f"medsam: fold_0.pth {sentence}"):
        load_method("medsam", path, "cpu")
