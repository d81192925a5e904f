"""Steps of the training loop: batches in parts, shared batches, and gradients without a number."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric

from caiseg.errors import InvalidInput
from tests.train.small_experiment import prepared_cases, small_config
from tests.train.small_runs import SAME_HOWEVER_SPLIT, metrics
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


def test_parts_that_a_batch_does_not_have_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"schedule.accumulate 3"):
        trainer(tmp_path, schedule={"batch_size": 4, "accumulate": 3})


def test_a_batch_that_processes_cannot_share_is_refused_by_name(tmp_path: Path) -> None:
    three: Any = SimpleNamespace(world_size=3)
    with pytest.raises(InvalidInput, match=r"schedule.batch_size: 2 .* 3 processes"):
        Trainer(small_config(), prepared_cases(1), [], RunFolder(tmp_path), three)


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
