"""Choice of the model for ``--model auto``: the best one that keeps up with the hop on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from .. import hub
from ..catalogue import Published
from ..checkpoints import EMBEDDED, load_checkpoint
from ..errors import CheckpointError
from ..frontends import ROWS_PER_SECOND
from .candidates import FASTEST, Task, fetched_models, other_models

_HUB_SECONDS = 3.0
"""Longest wait for the Hub at a start without a network."""


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


def choose(task: Task, *, offline: bool = False) -> ModelChoice:
    """Choose the best model that keeps up, and fetch it if necessary.

    If the Hub does not answer, the best model on this machine that keeps up is chosen; the embedded one if there is none.

    Parameters
    ----------
    task : Task
        Work that the model must keep up with.
    offline : bool
        True to open no connection.

    Raises
    ------
    EngineError
        The device does not exist on this machine.
    """
    search = _Search(task, offline=offline or hub.is_offline_mode())
    for entry in fetched_models(task):
        if choice := search.attempt(entry, may_fetch=True):
            return choice
    for entry in other_models(task):
        if choice := search.attempt(entry, may_fetch=False):
            return choice
    return search.embedded()


@dataclass
class _Search:
    """Search for a model: candidates are tried one by one, and those that are rejected are kept with the reasons.

    Attributes
    ----------
    task : Task
        Work that the model must keep up with.
    offline : bool
        True to open no connection.
    slow : list of (Published, float)
        Models that are too slow, with their seconds.
    missing : list of Published
        Models that are not on this machine, while the Hub does not answer.
    failed : list of (Published, CheckpointError)
        Models that can't be fetched or read.
    """

    task: Task
    offline: bool
    slow: list[tuple[Published, float]] = field(default_factory=list)
    missing: list[Published] = field(default_factory=list)
    failed: list[tuple[Published, CheckpointError]] = field(default_factory=list)

    @cached_property
    def hub_answers(self) -> bool:
        """True if the Hub answers; asked once, when it is first needed."""
        return not self.offline and hub.answers(_HUB_SECONDS)

    def attempt(self, entry: Published, *, may_fetch: bool) -> ModelChoice | None:
        """Return the choice of a model if it keeps up and is on this machine, or was fetched; else None."""
        is_here = hub.local(entry.repository) is not None
        if not is_here and not may_fetch:
            return None
        estimator, limit = self.task.estimator(entry), self.task.limit
        seconds = estimator.cached(entry, limit)
        if not is_here and (seconds is None or seconds <= limit) and not self.hub_answers:
            self.missing.append(entry)
            return None
        if seconds is None:
            seconds = estimator.measure(entry, limit)
        if seconds > limit:
            self.slow.append((entry, seconds))
            if entry is not FASTEST:
                return None
            if not is_here and not self.hub_answers:
                self.missing.append(entry)
                return None
        try:
            hub.fetch(entry.repository, offline=self.offline)
            load_checkpoint(entry.name, offline=True)  # raises if the files are damaged
        except CheckpointError as error:
            self.failed.append((entry, error))
            return None
        return self._choice(entry, seconds)

    def embedded(self) -> ModelChoice:
        """Return the choice of the embedded model."""
        hop = f"a hop of {self.task.hop_seconds:g} s"
        return self._with_reasons(EMBEDDED, "part of Earshot", hop)

    def _choice(self, entry: Published, seconds: float) -> ModelChoice:
        sources, hop = self.task.sources, f"a hop of {self.task.hop_seconds:g} s"
        cost = f"{seconds:.2g} s for {'a window' if sources == 1 else f'{sources} windows'}"
        if seconds > self.task.limit:
            return self._with_reasons(entry.name, "the fastest, because none keeps up", hop)
        among = "best on this machine" if self.missing or self.failed else "best model"
        return self._with_reasons(entry.name, f"the {among} that keeps up with {hop} here: {cost}", "it")

    def _with_reasons(self, model: str, merit: str, hop: str) -> ModelChoice:
        """Return a choice whose reason also says why the others were rejected; `hop` is the name of the hop in it."""
        incomplete = not self.offline and bool(self.missing or self.failed)
        return ModelChoice(model, "; ".join((merit, *self._rejections(hop))), incomplete)

    def _rejections(self, hop: str) -> list[str]:
        words = []
        if "ced" in self.task.families and not self.task.takes(FASTEST):
            words.append(f"CED models take windows of at most {FASTEST.rows / ROWS_PER_SECOND:g} s")
        if self.slow:
            costs = [f"{entry.name} ({seconds:.2g} s)" for entry, seconds in self.slow]
            words.append(f"too slow for {hop}: {', '.join(costs)}")
        if self.missing:
            are = "is" if len(self.missing) == 1 else "are"
            silent = f"the Hub does not answer within {_HUB_SECONDS:g} s"
            why = "nothing is fetched offline" if self.offline else silent
            words.append(f"{_listed(self.missing)} {are} not on this machine, and {why}")
        if self.failed:
            _, error = self.failed[0]
            words.append(f"{_listed(entry for entry, _ in self.failed)} can't be used: {error}")
        return words


def _listed(entries: Iterable[Published]) -> str:
    *most, last = (entry.name for entry in entries)
    return f"{', '.join(most)} and {last}" if most else last
