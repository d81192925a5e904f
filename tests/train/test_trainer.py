"""Steps of the training loop: batches in parts, shared batches, and gradients without a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric

from caiseg.errors import InvalidInput
from tests.train.small_experiment import prepared_cases, small_config
from tests.train.small_runs import SAME_HOWEVER_SPLIT, metrics
from train.full_memory import full_memory_said
from train.run_folder import RunFolder
from train.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")


def trainer(folder: Path, **sections: Any) -> Trainer:
    fabric = Fabric(accelerator="cpu", devices=1)
    return Trainer(small_config(**sections), prepared_cases(3), [], RunFolder(folder), fabric)


def test_a_batch_in_parts_makes_the_steps_of_the_whole_batch(tmp_path: Path) -> None:
    courses = []
    for accumulate in (1, 2):
        schedule = SAME_HOWEVER_SPLIT["schedule"] | {"accumulate": accumulate}
        run = trainer(tmp_path / str(accumulate), **(SAME_HOWEVER_SPLIT | {"schedule": schedule}))
        sizes: list[int] = []
        run.step_module.register_forward_pre_hook(
            lambda module, inputs, sizes=sizes: sizes.append(len(inputs[0]["image"]))
        )
        run.run()
        assert max(sizes) == 2 // accumulate
        courses.append((metrics(tmp_path / str(accumulate)), run.network.state_dict()))
    (records, weights), (parts_records, parts_weights) = courses
    losses = [[record["loss"] for record in course] for course in (records, parts_records)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for name, tensor in weights.items():
        # Of these only differences count, so their gradient is nothing but rounding errors.
        if not name.endswith(("key.bias", "projection.bias", "mask_fusion.bias")):
            torch.testing.assert_close(parts_weights[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_step_that_memory_does_not_hold_ends_in_one_sentence(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.step_module.register_forward_pre_hook(lambda *_: torch.empty(2**50))
    with pytest.raises(InvalidInput, match=r"--set schedule.accumulate=2") as caught:
        run.run()
    assert "\n" not in str(caught.value)


def test_a_gpu_s_full_memory_is_the_same_sentence() -> None:
    with pytest.raises(InvalidInput, match="memory does not hold"), full_memory_said():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_bfloat16_changes_what_is_computed_and_leaves_weights_in_32_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    # With crops of 32 x 32 x 16 the coarsest scale is smaller than the kernel, and there oneDNN's
    # gradient in bfloat16 is now and then no number.
    crop = {"crop_size": [64, 64, 32]}
    losses = []
    for precision in ("32", "bf16"):
        run = trainer(tmp_path / precision, schedule={"precision": precision}, data=crop)
        types: set[torch.dtype] = set()
        run.network.backbone.input_stage.register_forward_hook(
            lambda module, inputs, output, types=types: types.add(output.dtype)
        )
        losses.append(run.learn(next(run.batches())))
        assert types == {torch.bfloat16 if precision == "bf16" else torch.float32}
        assert {weight.dtype for weight in run.network.parameters()} == {torch.float32}
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_processor_without_bfloat16_computes_in_32_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    losses = []
    for precision in ("32", "bf16"):
        run = trainer(tmp_path / precision, schedule={"precision": precision})
        losses.append(run.learn(next(run.batches())))
    assert losses[0] == losses[1]


def test_a_gradient_that_is_no_number_stops_the_training_before_the_weights(
    tmp_path: Path,
) -> None:
    run = trainer(tmp_path)
    before = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    batch = next(run.batches())
    batch["image"][0, 0, 3, 3, 3] = torch.nan
    with pytest.raises(InvalidInput, match=r"gradient of step 1 \(epoch 1\) is not finite"):
        run.learn(batch)
    for name, tensor in run.network.state_dict().items():
        assert torch.equal(tensor, before[name])
