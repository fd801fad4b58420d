"""What ``--model auto`` takes: the best AST that keeps up with the hop on this machine."""

from dataclasses import dataclass, field
from functools import cached_property

from .. import frontends, hub
from ..catalogue import PUBLISHED, Published
from ..checkpoints import EMBEDDED
from ..errors import HubError
from .speed import SpeedEstimator

CANDIDATES = (PUBLISHED["base-10-10"], PUBLISHED["base-16-16"])
"""Best first."""

_HUB_SECONDS = 3.0
"""The longest that a start without a network may be held up."""
_SHARE = 0.9
"""Of the hop that inference may take: the rest is for reading sound, drawing, and what else the machine does."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model, and why.

    Attributes
    ----------
    model : str
        A name that `load_tagger` takes, of what is on this machine.
    reason : str
        For people: a part of one line in a log.
    """

    model: str
    reason: str


def choose(
    *,
    hop_seconds: float,
    sources: int = 1,
    window_seconds: float | None = None,
    device: str = "auto",
    offline: bool = False,
) -> ModelChoice:
    """Choose the best AST that keeps up, and fetch it if need be; else the embedded one.

    Parameters
    ----------
    hop_seconds : float
        Seconds between taggings, in which all sources must be tagged once.
    sources : int
        How many sources are heard.
    window_seconds : float, optional
        How long a window is; None for the model's own length.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    offline : bool
        Whether to open no connection.

    Raises
    ------
    EngineError
        There is no such device here.
    """
    rejected = _Rejected(offline=offline or hub.is_offline_mode())
    limit = _SHARE * hop_seconds
    for entry in CANDIDATES:
        rows = entry.rows if window_seconds is None else round(frontends.ROWS_PER_SECOND * window_seconds)
        speed = SpeedEstimator(device, rows, sources)
        seconds = speed.cached(entry)
        here = hub.local(entry.repository) is not None
        if not here and (seconds is None or seconds <= limit) and not rejected.hub_answers:
            rejected.missing.append(entry)
            continue
        if seconds is None:
            seconds = speed.measure(entry, limit)
        if seconds > limit:
            rejected.slow.append((entry, seconds))
            continue
        try:
            hub.fetch(entry.repository, offline=offline)
        except HubError as error:
            rejected.failed.append((entry, error))
            continue
        cost = f"{seconds:.2g} s a {'window' if sources == 1 else f'round of {sources} windows'}"
        merit = f"the best AST that keeps up with a hop of {hop_seconds:g} s here: {cost}"
        return ModelChoice(entry.name, "; ".join((merit, *rejected.phrases("it"))))
    phrases = rejected.phrases(f"a hop of {hop_seconds:g} s")
    return ModelChoice(EMBEDDED, "; ".join(("embedded in Earshot", *phrases)))


@dataclass
class _Rejected:
    """Better candidates that were not taken, and why."""

    offline: bool
    slow: list[tuple[Published, float]] = field(default_factory=list)
    missing: list[Published] = field(default_factory=list)
    failed: list[tuple[Published, HubError]] = field(default_factory=list)

    @cached_property
    def hub_answers(self) -> bool:
        """Asked once, when it first matters."""
        return not self.offline and hub.answers(_HUB_SECONDS)

    def phrases(self, hop: str) -> list[str]:
        """The reasons, in words; `hop` is what to call it."""
        words = []
        if self.slow:
            costs = ", ".join(f"{entry.name} ({seconds:.2g} s)" for entry, seconds in self.slow)
            words.append(f"too slow for {hop}: {costs}")
        if self.missing:
            names = " and ".join(entry.name for entry in self.missing)
            are = "is" if len(self.missing) == 1 else "are"
            why = (
                "nothing is fetched offline"
                if self.offline
                else f"the Hub does not answer within {_HUB_SECONDS:g} s"
            )
            words.append(f"{names} {are} not on this machine, and {why}")
        return words + [f"{entry.name} can't be fetched: {error}" for entry, error in self.failed]
