"""What an operator can watch: counts and times, never a name, a file or a voxel of a scan."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

# From a click on a GPU to a large scan on two CPU cores.
_CLICK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10)
_WAIT_SECONDS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_ENCODE_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 180, 600)


class Metrics:
    """Counts of one server since its start, in a registry of its own."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        ProcessCollector(registry=own)
        self._registry = own
        self.click_seconds = Histogram(
            "caiseg_click_seconds", "An answer of the network to clicks, without waiting.",
            registry=own, buckets=_CLICK_SECONDS,
        )  # fmt: skip
        self.answer_seconds = Histogram(
            "caiseg_answer_seconds", "Answering what a page has asked, waiting included.",
            registry=own, buckets=_CLICK_SECONDS,
        )  # fmt: skip
        self.encode_seconds = Histogram(
            "caiseg_encode_seconds", "Encoding a scan, without waiting.",
            registry=own, buckets=_ENCODE_SECONDS,
        )  # fmt: skip
        self.wait_seconds = Histogram(
            "caiseg_wait_seconds", "Waiting for the network's turn.",
            registry=own, buckets=_WAIT_SECONDS,
        )  # fmt: skip
        self.fallbacks = Counter(
            "caiseg_gpu_fallbacks", "Clicks for which the GPU had no memory left.", registry=own
        )
        self._errors = Counter("caiseg_errors", "Faults that the log describes.", registry=own)

    def watch(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Show a number as it is whenever somebody looks."""
        self._registry.register(_Now(name, description, value))

    def count_faults(self, logger: logging.Logger) -> None:
        """Count what a logger reports as an error."""
        logger.addHandler(_CountingHandler(self._errors))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


class _Now(Collector):
    """A gauge that is read when it is asked for."""

    def __init__(self, name: str, description: str, value: Callable[[], float]):
        self._name, self._description, self._value = name, description, value

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(self._name, self._description, value=self._value())


class _CountingHandler(logging.Handler):
    def __init__(self, counter: Counter):
        super().__init__(logging.ERROR)
        self._counter = counter

    def emit(self, record: logging.LogRecord) -> None:
        self._counter.inc()
