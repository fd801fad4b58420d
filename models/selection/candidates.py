"""Models to choose from, and the time that they take for a task on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from .. import frontends
from ..catalogue import PUBLISHED, Published
from ..engines import EngineName
from ..engines.torch_engine import pick_device
from .speed import SpeedEstimator

FAMILIES = ("ced", "ast")

FASTEST = PUBLISHED["ced-tiny"]
"""Model that takes less time than any other, the embedded one included."""

_CED = tuple(PUBLISHED[name] for name in ("ced-base", "ced-small", "ced-mini", "ced-tiny"))
_AST = tuple(PUBLISHED[name] for name in ("base-10-10", "base-16-16"))
_SHARE = 0.8
"""Share of the hop that inference may take; the rest is for audio, drawing and other programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Work that a model must keep up with.

    Attributes
    ----------
    hop_seconds : float
        Seconds between taggings; all sources must be tagged once within them.
    sources : int
        Number of sources.
    window_seconds : float or None
        Length of a window; None for each model's own.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    engine : {"auto", "torch", "openvino"}
        Engine to use.
    families : sequence of {"ced", "ast"}
        Families of networks to choose from.
    """

    hop_seconds: float
    sources: int = 1
    window_seconds: float | None = None
    device: str = "auto"
    engine: EngineName = "auto"
    families: Sequence[str] = FAMILIES

    @property
    def limit(self) -> float:
        """Seconds that a tagging of all sources may take."""
        return _SHARE * self.hop_seconds

    def rows(self, entry: Published) -> int:
        """Return the rows of a model's window."""
        if self.window_seconds is None:
            return entry.rows
        return round(frontends.ROWS_PER_SECOND * self.window_seconds)

    def takes(self, entry: Published) -> bool:
        """Return True if a model is of one of the families, and can have such a window."""
        return entry.family in self.families and self.rows(entry) <= entry.rows

    def estimator(self, entry: Published) -> SpeedEstimator:
        """Return the estimator of the time that a model takes for the task.

        Raises
        ------
        EngineError
            The device does not exist on this machine.
        """
        return SpeedEstimator(self.device, self.rows(entry), self.sources, self.engine)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Model that keeps up, with the estimated time.

    Attributes
    ----------
    model : str
        Name of the model.
    seconds : float
        Seconds for a tagging of all sources.
    """

    model: str
    seconds: float


def fetched_models(task: Task) -> list[Published]:
    """Return the models that are fetched if necessary, the best first: a GPU runs an AST, which is too large for most processors.

    Raises
    ------
    EngineError
        The device does not exist on this machine.
    """
    smaller, larger = ([entry for entry in group if task.takes(entry)] for group in (_CED, _AST))
    if pick_device(task.device).type == "cuda":
        return [*larger[:1], *smaller]
    return smaller or larger


def other_models(task: Task) -> list[Published]:
    """Return the models that are taken only if they are on this machine already, the best first."""
    first = fetched_models(task)
    scored = [
        (entry.mean_average_precision, entry)
        for entry in PUBLISHED.values()
        if entry.mean_average_precision is not None and task.takes(entry) and entry not in first
    ]
    return [entry for _, entry in sorted(scored, key=lambda pair: pair[0], reverse=True)]


def best_that_keeps_up(task: Task) -> Estimate | None:
    """Return the best model that keeps up, whether it is on this machine or not; None if none does.

    Nothing is fetched. The first call measures the machine, which takes some seconds.

    Raises
    ------
    EngineError
        The device does not exist on this machine.
    """
    for entry in fetched_models(task):
        seconds = task.estimator(entry).measure(entry, task.limit)
        if seconds <= task.limit:
            return Estimate(entry.name, seconds)
    return None
