"""The tagger that the settings ask for."""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.tagger import Tagger
    from streamer.settings.schema import Settings
    from streamer.sinks.payloads import LabelSet

_COMFORTABLE_LOAD = 0.25
"""Share of the hop that inference may take before precision is traded for speed."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model and the reason for it."""

    name: str
    reason: str


def choose_model(settings: "Settings") -> ModelChoice:
    """Return the model that is set, or with ``auto`` the best one for this machine."""
    if settings.model != "auto":
        return ModelChoice(settings.model, "as requested")
    from models.selection.model_choice import choose

    choice = choose(
        hop_seconds=settings.mean_hop,
        sources=len(settings.source),
        window_seconds=settings.window,
        device=settings.device,
        offline=settings.offline,
    )
    return ModelChoice(choice.model, choice.reason)


def load_chosen(settings: "Settings", choice: ModelChoice | None = None) -> "Tagger":
    """Load the tagger; one line in the log says which model it is and why.

    Raises
    ------
    ModelError
        It can't be loaded.
    """
    choice = choice or choose_model(settings)
    tagger = load(settings, choice.name)
    _log.info(
        "model %s (%s), %d classes, %s",
        tagger.name,
        choice.reason,
        len(tagger.labels),
        tagger.engine.description,
    )
    return tagger


def load(settings: "Settings", model: str) -> "Tagger":
    """Load a model as the settings say.

    Raises
    ------
    ModelError
        It can't be loaded.
    """
    with _without_garbage_collection():
        from models.tagger import load_tagger

        return load_tagger(
            model,
            device=settings.device,
            engine=settings.engine,
            precision=settings.precision,
            window_seconds=settings.window,
            offline=settings.offline,
            fstride=settings.fstride,
            tstride=settings.tstride,
            input_tdim=settings.input_tdim,
            enough_seconds=_COMFORTABLE_LOAD * settings.mean_hop / len(settings.source),
        )


def label_set(tagger: "Tagger") -> "LabelSet":
    """Return the labels of a tagger with their AudioSet ids."""
    from models.labels import mid_of
    from streamer.sinks.payloads import LabelSet

    return LabelSet(labels=tagger.labels, mids=tuple(map(mid_of, tagger.labels)))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collect no garbage while libraries are imported, which saves a tenth of their time: their objects stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
