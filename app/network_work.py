"""The network's work for everybody: fair, watched, and not ended by a lack of GPU memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import gradio as gr
import torch

from app import replies
from app.background import Report, with_reports
from app.metrics import Metrics
from app.store import ResidentScan
from app.turns import Turns
from caiseg import CAISegPredictor, Click, EncodedScan, Volume
from caiseg.annotation.packed_mask import BoolArray, PackedMask
from caiseg.annotation.rounds import Segment
from caiseg.device_memory import lacks_memory

T = TypeVar("T")

PREVIEW_SHARE = 0.02
"""Share of the encoding's time that showing the mask so far may take."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far encoding is.

    Attributes:
        fraction: Share of the work done.
        mask: The first mask of the patches so far, none where there is none yet.
    """

    fraction: float
    mask: PackedMask | None


class Preview:
    """The first mask while a scan is encoded, renewed as often as it costs next to nothing.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._next = clock()
        self.mask: PackedMask | None = None

    def offer(self, mask: Callable[[], BoolArray]) -> None:
        """Take the mask so far, unless that would cost more than :data:`PREVIEW_SHARE`."""
        began = self._clock()
        if began < self._next:
            return
        self.mask = PackedMask.pack(mask())
        ended = self._clock()
        self._next = ended + (ended - began) / PREVIEW_SHARE


class NetworkWork:
    """Encodes scans and answers clicks, one piece of work at a time.

    Args:
        turns: Who comes next.
        metrics: Where to count.
        max_bytes: Memory that the features of one scan may take; none for no limit.
    """

    def __init__(self, turns: Turns, metrics: Metrics, max_bytes: int | None = None):
        self._turns = turns
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._answers = ThreadPoolExecutor(1, thread_name_prefix="answers")

    def encode(
        self,
        predictor: CAISegPredictor,
        volume: Volume,
        *,
        near: Sequence[float],
        scan_id: str = "",
    ) -> Generator[gr.HTML, None, EncodedScan]:
        """Encode a scan, beginning with the patch in view.

        Args:
            predictor: The checkpoint.
            volume: The scan.
            near: Voxel ``(i, j, k)`` in view.
            scan_id: Of the scan that waits for its first mask, to be shown it patch by patch;
                left out where a mask is on screen already.
        """
        stage = "Encoding the scan"
        shown: PackedMask | None = None

        def say(progress: _Progress) -> gr.HTML:
            nonlocal shown
            if not scan_id or progress.mask is shown or progress.mask is None:
                return replies.working(stage, progress.fraction)
            shown = progress.mask
            return replies.working(stage, progress.fraction, (scan_id, shown))

        yield replies.working(stage, 0.0)
        encoded = yield from with_reports(
            lambda report: self._encode(predictor, volume, near, report), say
        )
        return encoded

    def answered(self, seconds: float) -> None:
        """Count the answer to a page."""
        self._metrics.answer_seconds.observe(seconds)

    def answering(self, predictor: CAISegPredictor, resident: ResidentScan) -> Segment:
        """What a session asks for masks: a checkpoint, on one scan."""

        def segment(clicks: Sequence[Click], previous: BoolArray | None) -> BoolArray:
            def question(scan: EncodedScan) -> BoolArray:
                began = time.perf_counter()
                mask = predictor.segment(scan, clicks, previous).mask
                if clicks:
                    self._metrics.click_seconds.observe(time.perf_counter() - began)
                return mask

            return self.ask(resident, question)

        return segment

    def ask(self, resident: ResidentScan, question: Callable[[EncodedScan], T]) -> T:
        """Ask the network about a scan, in one's turn, all of them in one thread.

        Where the GPU has no memory for the answer, the scan goes on on the CPU.
        """
        waiting = time.perf_counter()
        with self._turns.turn():
            self._metrics.wait_seconds.observe(time.perf_counter() - waiting)
            try:
                return self._answers.submit(question, resident.encoded).result()
            except RuntimeError as error:
                if resident.encoded.device.type == "cpu" or not lacks_memory(error):
                    raise
            # Beyond the handler, whose traceback holds on to memory.
            self._metrics.fallbacks.inc()
            resident.encoded = resident.encoded.on_cpu()
            torch.accelerator.empty_cache()
            return self._answers.submit(question, resident.encoded).result()

    def _encode(
        self,
        predictor: CAISegPredictor,
        volume: Volume,
        near: Sequence[float],
        report: Report[_Progress],
    ) -> EncodedScan:
        preview = Preview()
        waited = 0.0

        def after_patch(fraction: float) -> None:
            nonlocal waited
            report(_Progress(fraction, preview.mask))
            asked = time.perf_counter()
            self._turns.give_way()
            waited += time.perf_counter() - asked

        with self._turns.turn():
            began = time.perf_counter()
            encoded = predictor.encode(
                volume,
                after_patch,
                first=near,
                preview=preview.offer,
                max_bytes=self._max_bytes,
            )
            self._metrics.encode_seconds.observe(time.perf_counter() - began - waited)
        return encoded
