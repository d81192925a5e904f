"""What TensorBoard shows of a run, read back from its event files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.fabric import Fabric
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from caiseg.network import CAISeg
from tests.train.small_experiment import prepared_cases, small_config
from train.pictures import ANSWER, BACKGROUND, FOREGROUND, TRUTH, validation_picture
from train.run_folder import RunFolder
from train.schedule import learning_rate
from train.trainer import Trainer

CONFIG = small_config(schedule={"pretrain_epochs": 1, "epochs": 2, "learning_rate": 0.01})
STEPS = 6
"""Three epochs of three cases in batches of two."""


class Killed(Exception):
    """Stands for the end of a process."""


def train(
    folder: Path, *, resume: bool = False, die_after: int = 0, save_every: float = 1e9
) -> Trainer:
    """Train, but lose the process after a step; state is saved when an epoch has been validated."""

    def report(record: dict[str, Any]) -> None:
        if record.get("done") == die_after:
            raise Killed

    cases = prepared_cases(3)
    trainer = Trainer(
        CONFIG, cases, cases[:1], RunFolder(folder), Fabric(accelerator="cpu", devices=1),
        save_every=save_every, report=report,
    )  # fmt: skip
    if resume:
        trainer.resume()
    trainer.run()
    return trainer


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(RunFolder(folder).board_path))
    accumulator.Reload()
    return accumulator


def steps_of(found: EventAccumulator, name: str) -> list[int]:
    return [event.step for event in found.Scalars(name)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(folder)
    return folder


def test_every_step_has_its_loss_and_learning_rate(run: Path) -> None:
    found = events(run)
    assert steps_of(found, "loss") == steps_of(found, "learning rate") == list(range(1, STEPS + 1))
    rates = [event.value for event in found.Scalars("learning rate")]
    assert rates == pytest.approx([learning_rate(CONFIG.schedule, n, 2) for n in range(STEPS)])
    losses = [event.value for event in found.Scalars("loss")]
    assert all(np.isfinite(losses))
    assert len(set(losses)) == STEPS


def test_validation_curves_stand_at_the_end_of_their_epochs(run: Path) -> None:
    found = events(run)
    assert steps_of(found, "Dice/0 clicks") == [2, 4, 6]
    assert steps_of(found, "Dice/3 clicks") == [4, 6], "VNet takes no clicks"


def test_one_validation_case_is_shown_each_time(run: Path) -> None:
    images = events(run).Images("validation")
    assert [image.step for image in images] == [2, 4, 6]
    before, after = (
        np.asarray(Image.open(io.BytesIO(images[n].encoded_image_string))) for n in (0, 2)
    )
    assert before.shape[1] == 2 * before.shape[0], "scan and masks, both 32 x 32"
    assert after.shape[1] == 3 * after.shape[0], "and the affinity to the clicks"


@pytest.mark.parametrize(("die_after", "save_every"), [(3, 1e9), (4, 1e9), (4, 0), (5, 0)], ids=str)
def test_a_resumed_run_shows_no_step_twice_and_leaves_none_out(
    tmp_path: Path, die_after: int, save_every: float
) -> None:
    with pytest.raises(Killed):
        train(tmp_path, die_after=die_after, save_every=save_every)
    train(tmp_path, resume=True)
    found = events(tmp_path)
    assert steps_of(found, "loss") == list(range(1, STEPS + 1))
    assert steps_of(found, "Dice/0 clicks") == [2, 4, 6]
    assert [image.step for image in found.Images("validation")] == [2, 4, 6]


def test_resuming_a_finished_run_keeps_its_last_validation(tmp_path: Path) -> None:
    train(tmp_path)
    train(tmp_path, resume=True)
    found = events(tmp_path)
    assert steps_of(found, "loss") == list(range(1, STEPS + 1))
    assert steps_of(found, "Dice/3 clicks") == [4, 6]


def has(picture: np.ndarray[Any, Any], colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=-1).any())


def test_the_picture_shows_scan_truth_answer_and_clicks() -> None:
    case = prepared_cases(1)[0]
    config = small_config()
    picture = validation_picture(CAISeg(config.network), case, config, clicks=3)
    assert picture.dtype == np.uint8
    height, width, channels = picture.shape
    assert (height, width, channels) == (256, 768, 3)
    scan, masks, affinity = np.split(picture, 3, axis=1)
    assert (scan[..., 0] == scan[..., 1]).all()
    assert scan.min() == 0
    assert scan.max() == 255
    assert has(masks, TRUTH)
    assert has(masks, ANSWER) or has(masks, FOREGROUND) or has(masks, BACKGROUND)
    assert not (affinity[..., 0] == affinity[..., 1]).all(), "affinity is coloured"


def test_anterior_is_at_the_top_and_the_first_axis_runs_to_the_right() -> None:
    case = prepared_cases(1)[0]
    case.image.zero_()
    case.image[4:8, 28:30] = 1
    case.lesion.zero_()
    case.lesion[4:8, 28:30, 3] = True
    config = small_config()
    picture = validation_picture(CAISeg(config.network), case, config, clicks=0)
    bright = np.argwhere(picture[:, :256, 0] > 128) // 8
    assert bright.min(axis=0).tolist() == [2, 4]
    assert bright.max(axis=0).tolist() == [3, 7]
