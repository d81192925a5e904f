"""The training loop: first without clicks, then with them, on Lightning Fabric."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.profiler import record_function

from train.board import Board
from train.config import ExperimentConfig
from train.dataset import CaseSource, TrainingSamples
from train.full_memory import full_memory_said
from train.gradients import check_gradient
from train.loading import epoch_batches, split_batch
from train.methods.trainable import Network, build_network, initial_weights, training_step
from train.pictures import validation_picture
from train.prepared import PreparedCase
from train.run_folder import RunFolder, cpu_copy
from train.schedule import learning_rate, mu_at, phase_at
from train.validation import ValidationResult, validate

VALIDATION_CLICKS = 3
BACKWARD, OPTIMIZER = "backward", "optimizer"
"""Names under which a profiler sees what follows a step's forward pass."""

Report = Callable[[dict[str, Any]], None]


class Trainer:
    """Trains one experiment in a run folder, resumable to the bit.

    All that is random about a step follows from the config's seed and the step's place in the
    training, so a resumed run repeats what an uninterrupted one does.

    Args:
        config: The experiment.
        train_cases: Where training samples come from.
        val_cases: Prepared validation cases; without any, the last weights count as the best.
        folder: Where state, metrics and the best weights go.
        fabric: Launched; decides device, precision and processes.
        workers: Processes that prepare samples; 0 prepares them in this one.
        save_every: Seconds between two saved states, which is what a killed run loses at most.
        report: Called after every step and validation with what there is to show.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        train_cases: CaseSource,
        val_cases: Sequence[PreparedCase],
        folder: RunFolder,
        fabric: Fabric,
        *,
        workers: int = 0,
        save_every: float = 120.0,
        report: Report = lambda record: None,
    ):
        self.config = config
        self.folder = folder
        self.fabric = fabric
        self.report = report
        self.workers = workers
        self.save_every = save_every
        self.samples = TrainingSamples(train_cases, config)
        self.val_cases = val_cases
        torch.manual_seed(config.seed)
        self.network = build_network(config.method, config.network)
        schedule = config.schedule
        optimizer = torch.optim.Adam(
            self.network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.step_module, self.optimizer = fabric.setup(
            training_step(self.network, config), optimizer
        )
        self.average = (
            AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(schedule.ema_decay))
            if schedule.ema_decay is not None
            else None
        )
        self.epoch = 0
        self.done_in_epoch = 0
        self.best_dice = -1.0
        self.seconds = 0.0
        self.resumed_at: int | None = None
        self.board: Board | None = None

    @property
    def epochs(self) -> int:
        """Epochs of both phases."""
        return self.config.schedule.pretrain_epochs + self.config.schedule.epochs

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one epoch."""
        return math.ceil(len(self.samples) / self.config.schedule.batch_size)

    @property
    def evaluated_network(self) -> Network:
        """The network that is validated and exported: the average where there is one."""
        return self.network if self.average is None else self.average.module  # type: ignore[return-value]

    def start_from(self, weights: Network) -> None:
        """Begin with the weights of a trained network instead of random ones.

        Args:
            weights: A network of the same method, or a VNet alone, which every method has as its
                backbone; see :func:`train.methods.trainable.initial_weights`.

        Raises:
            InvalidInput: The network is another method's or has other sizes than the config's.
        """
        initial = initial_weights(self.network, weights)
        self.network.load_state_dict(initial)
        if self.average is not None:
            self.average.module.load_state_dict(initial)

    @property
    def steps_done(self) -> int:
        """Optimizer steps of the whole training that are done."""
        return self.epoch * self.steps_per_epoch + self.done_in_epoch

    def resume(self) -> None:
        """Continue from the run folder's state; what was logged after it is forgotten."""
        state = self.folder.load(self.folder.state_path, self.config)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.epoch, self.done_in_epoch = state["epoch"], state["done_in_epoch"]
        self.best_dice, self.seconds = state["best_dice"], state["seconds"]
        self.resumed_at = self.steps_done + 1
        if self.fabric.is_global_zero:
            self.folder.forget_after(self.epoch)

    def run(self) -> None:
        """Train to the end of the last epoch.

        Raises:
            InvalidInput: A sample cannot be made, a gradient is not finite, or the memory is full.
            CannotWrite: The disk is full or the run folder cannot be written.
        """
        with ExitStack() as stack:
            if self.fabric.is_global_zero:
                board = Board(self.folder.board_path, self.resumed_at)
                self.board = stack.enter_context(board)
            stack.enter_context(full_memory_said())
            self._run()

    def _run(self) -> None:
        began, saved = time.monotonic() - self.seconds, time.monotonic()
        while self.epoch < self.epochs:
            losses = []
            for batch in self.batches():
                losses.append(self.learn(batch))
                self.done_in_epoch += 1
                self._show_step(losses[-1])
                self.seconds = time.monotonic() - began
                self.report(self._progress(losses[-1]))
                # After the last step, the epoch's validation belongs to the state as well.
                unfinished = self.done_in_epoch < self.steps_per_epoch
                if unfinished and time.monotonic() - saved > self.save_every:
                    self._save()
                    saved = time.monotonic()
            self.epoch, self.done_in_epoch = self.epoch + 1, 0
            record: dict[str, Any] = {"epoch": self.epoch, "seconds": round(self.seconds, 1)}
            if losses:
                record["loss"] = self._mean_over_processes(losses)
            due = self._validation_due()
            if due and self.val_cases:
                record |= self._validate()
            elif due:
                self._keep_last()
            if self.fabric.is_global_zero:
                self.folder.log(record)
            self.report(record)
            if due or time.monotonic() - saved > self.save_every:
                self._save()
                saved = time.monotonic()
        self._save()

    def batches(self) -> Iterator[dict[str, torch.Tensor]]:
        """This process's share of the rest of the present epoch; see :func:`epoch_batches`."""
        done = self.done_in_epoch
        return epoch_batches(self.samples, self.epoch, done, self.fabric, self.workers)

    def learn(self, batch: dict[str, torch.Tensor]) -> float:
        """Make one optimizer step, in as many parts as ``schedule.accumulate`` says.

        Every loss is a mean over samples, so the parts' gradients, weighed by their samples, add
        up to that of the batch.

        Args:
            batch: This process's share of the step's samples.

        Returns:
            The loss before the step, of this process.

        Raises:
            InvalidInput: The gradient is not finite; the weights are as they were.
        """
        schedule = self.config.schedule
        phase = phase_at(schedule, self.epoch)
        step = self.steps_done
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(schedule, step, self.steps_per_epoch)
        seed = (self.config.seed + step + 1) * self.fabric.world_size
        torch.manual_seed(seed + self.fabric.global_rank)
        self.step_module.train()
        samples = len(batch["image"])
        parts = split_batch(batch, schedule.accumulate)
        total = 0.0
        for number, part in enumerate(parts, start=1):
            unfinished = number < len(parts)
            with self.fabric.no_backward_sync(self.step_module, enabled=unfinished):
                mu = mu_at(self.config, self.epoch)
                loss: torch.Tensor = self.step_module(part, phase, step, mu)
                loss = loss * (len(part["image"]) / samples)
                with record_function(BACKWARD):
                    self.fabric.backward(loss)
            total += float(loss.detach())
        with record_function(OPTIMIZER):
            self._update(step)
        return total

    def _update(self, step: int) -> None:
        schedule = self.config.schedule
        check_gradient(self.network, step, self.epoch)
        if schedule.gradient_clip is not None:
            self.fabric.clip_gradients(
                self.step_module, self.optimizer, max_norm=schedule.gradient_clip
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.network)

    def _mean_over_processes(self, losses: Sequence[float]) -> float:
        """Mean of the losses of all processes, each of which has had as many steps."""
        mean = torch.tensor(np.mean(losses), dtype=torch.float32, device=self.fabric.device)
        return float(cast(torch.Tensor, self.fabric.all_reduce(mean, reduce_op="mean")))

    def _validation_due(self) -> bool:
        last = self.epoch == self.epochs
        return last or self.epoch % self.config.schedule.validate_every == 0

    def _validate(self) -> dict[str, Any]:
        network = self.evaluated_network
        clicks = VALIDATION_CLICKS if self._takes_clicks() else 0
        result: ValidationResult = validate(network, self.val_cases, self.config, clicks)
        if clicks and result.dice[-1] > self.best_dice:
            self.best_dice = result.dice[-1]
            if self.fabric.is_global_zero:
                self.folder.save(self.folder.best_path, self._weights(result.dice))
        if self.board is not None:
            curve = {f"Dice/{count} clicks": dice for count, dice in enumerate(result.dice)}
            self.board.scalars(curve, self.steps_done)
            picture = validation_picture(network, self.val_cases[0], self.config, clicks)
            self.board.picture("validation", picture, self.steps_done)
        return {"dice": result.dice, "obeyed": result.obeyed, "harmful": result.harmful}

    def _keep_last(self) -> None:
        """Keep the weights for export where there is no case to choose the best ones by."""
        if self._takes_clicks() and self.fabric.is_global_zero:
            self.folder.save(self.folder.best_path, self._weights([]))

    def _takes_clicks(self) -> bool:
        """Whether weights are worth exporting: VNet alone is so at the end of a training only."""
        return self.epoch > self.config.schedule.pretrain_epochs or self.epoch == self.epochs

    def _weights(self, dice: list[float]) -> dict[str, Any]:
        return {
            "config": self.config.model_dump_json(),
            "network": cpu_copy(self.evaluated_network.state_dict()),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "dice": dice,
        }

    def _show_step(self, loss: float) -> None:
        if self.board is not None:
            rate = self.optimizer.param_groups[0]["lr"]
            self.board.scalars({"loss": loss, "learning rate": rate}, self.steps_done)

    def _save(self) -> None:
        if not self.fabric.is_global_zero:
            return
        if self.board is not None:
            self.board.flush()
        state = {
            "config": self.config.model_dump_json(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "epoch": self.epoch,
            "done_in_epoch": self.done_in_epoch,
            "best_dice": self.best_dice,
            "seconds": self.seconds,
        }
        self.folder.save(self.folder.state_path, state)

    def _progress(self, loss: float) -> dict[str, Any]:
        total = self.epochs * self.steps_per_epoch
        rate = self.optimizer.param_groups[0]["lr"]
        return {"done": self.steps_done, "total": total, "step_loss": loss, "learning_rate": rate}
