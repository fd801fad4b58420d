"""Workers that sleep as long as a batch took elsewhere: they show what everything around a model costs. See fleet.py.

    export PYTHONPATH=$PWD EARSHOT_SERVE_CONFIG=benchmarks/sleeping_workers.yaml
    deploy/ray/head.sh                    # then, in two more terminals:
    deploy/ray/join.sh 127.0.0.1

The args of the config say how long a batch takes, and how much longer for each of its windows.
"""

import time
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from ray import serve

from models.known_labels import known_labels
from models.serving import Worker, WorkerOptions, worker_deployment
from models.tagger import Tagger

_WINDOW_SAMPLES = 163_840


class SleepingOptions(WorkerOptions):
    """Options of workers that sleep.

    Attributes
    ----------
    seconds_a_batch, seconds_a_window : float
        Time for a batch, and the time that each of its windows adds.
    """

    seconds_a_batch: float = 0.005
    seconds_a_window: float = 0.001


class SleepingTagger:
    """Tagger whose scores are all the same, after a while."""

    def __init__(self, options: SleepingOptions) -> None:
        self.name = "asleep"
        self.labels = tuple(known_labels("tiny") or ())
        self.thresholds = None
        self.window_samples = _WINDOW_SAMPLES
        self.engine = SimpleNamespace(description="sleep")
        self._options = options

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return scores (batch, classes)."""
        time.sleep(self._options.seconds_a_batch + len(batch) * self._options.seconds_a_window)
        return np.full((len(batch), len(self.labels)), 0.5, np.float32)

    embed = __call__


class SleepingWorker(Worker):
    """Replica that sleeps."""

    def load(self, options: WorkerOptions) -> Tagger:
        """Return a tagger that sleeps."""
        return cast("Tagger", SleepingTagger(cast("SleepingOptions", options)))

    def fingerprint(self, options: WorkerOptions) -> str:
        """Return the name of no model."""
        return f"asleep, {options}"


def app(options: dict[str, Any]) -> serve.Application:
    """Return the application of a Serve config, with its ``args`` as options."""
    return worker_deployment(SleepingWorker).bind(SleepingOptions.model_validate(options))
