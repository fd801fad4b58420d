"""Choice of the model for ``--model auto``: the best AST that keeps up with the hop on this machine."""

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
"""Longest wait for the Hub at a start without a network."""
_SHARE = 0.9
"""Share of the hop that inference may take; the rest is for audio, drawing and other programs."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Chosen model, with the reason.

    Attributes
    ----------
    model : str
        Name that `load_tagger` accepts; the model is on this machine.
    reason : str
        Reason, as part of one line in a log.
    incomplete : bool
        True if a better model could not be fetched now; a later attempt may choose another one.
    """

    model: str
    reason: str
    incomplete: bool = False


def choose(
    *,
    hop_seconds: float,
    sources: int = 1,
    window_seconds: float | None = None,
    device: str = "auto",
    offline: bool = False,
) -> ModelChoice:
    """Choose the best AST that keeps up, and fetch it if necessary; else the embedded model.

    Parameters
    ----------
    hop_seconds : float
        Seconds between taggings; all sources must be tagged once within them.
    sources : int
        Number of sources.
    window_seconds : float, optional
        Length of a window; by default the model's length.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    offline : bool
        True to open no connection.

    Raises
    ------
    EngineError
        The device does not exist on this machine.
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
        return ModelChoice(entry.name, "; ".join((merit, *rejected.phrases("it"))), rejected.incomplete)
    phrases = rejected.phrases(f"a hop of {hop_seconds:g} s")
    return ModelChoice(EMBEDDED, "; ".join(("embedded in Earshot", *phrases)), rejected.incomplete)


@dataclass
class _Rejected:
    """Better candidates that were rejected, with the reasons."""

    offline: bool
    slow: list[tuple[Published, float]] = field(default_factory=list)
    missing: list[Published] = field(default_factory=list)
    failed: list[tuple[Published, HubError]] = field(default_factory=list)

    @cached_property
    def hub_answers(self) -> bool:
        """True if the Hub answers; asked once, when it is first needed."""
        return not self.offline and hub.answers(_HUB_SECONDS)

    @property
    def incomplete(self) -> bool:
        """True if another attempt may fetch what is missing."""
        return not self.offline and bool(self.missing or self.failed)

    def phrases(self, hop: str) -> list[str]:
        """Return the reasons in words; `hop` is the name of the hop in them."""
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
