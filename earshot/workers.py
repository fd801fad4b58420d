"""Workers of a live session, which begins to listen whether they answer or not."""

from typing import TYPE_CHECKING

from models.worker_addresses import is_address

from . import tagger
from .own_sounds import with_own_sounds

if TYPE_CHECKING:
    from models.score_protocol import ModelDescription
    from models.tagger import Tagger
    from streamer.settings.schema import Settings

    from .own_sounds import SoundTagger

_UNKNOWN = "unknown model"


def load(settings: "Settings", *, waits: bool) -> "tuple[SoundTagger, SoundTagger | None]":
    """Load the model that is set, or connect to the workers that have it; return it with the fallback, if there is to be one.

    Parameters
    ----------
    settings : Settings
        Settings of the program.
    waits : bool
        True to begin without an answer of the workers. Their model is presumed to have the classes that it last had; without a
        last time, those of the fallback or of AudioSet.

    Raises
    ------
    ModelError
        The model or the fallback can't be loaded, their classes are not the same, or the workers refuse.
    """
    if waits and is_address(settings.model):
        return _connect(settings)
    model = tagger.load_chosen(settings)
    return model, tagger.load_fallback(settings, model.labels)


def _connect(settings: "Settings") -> "tuple[SoundTagger, SoundTagger | None]":
    from models.remote import load_remote

    fallback: Tagger | None = None

    def presume() -> "ModelDescription":
        nonlocal fallback
        if settings.fallback is not None:
            fallback = tagger.load_requested(tagger.ModelRequest.of(settings), settings.fallback)
        return _description(fallback)

    remote = load_remote(
        settings.model, token=settings.worker_token(), window_seconds=settings.window, presume=presume
    )
    model = with_own_sounds(remote)
    if not remote.is_presumed:
        tagger.log_model(model, tagger.AS_REQUESTED)
    if fallback is not None:
        return model, with_own_sounds(fallback)
    return model, tagger.load_fallback(settings, model.labels)


def _description(fallback: "Tagger | None") -> "ModelDescription":
    """Return the description of a model that nothing is known of, but that the fallback has the same classes."""
    from models.known_labels import known_labels
    from models.score_protocol import ModelDescription
    from streamer.messages import WINDOW_SAMPLES

    labels = known_labels(tagger.AUTO) if fallback is None else fallback.labels
    thresholds = None if fallback is None else fallback.thresholds
    return ModelDescription(
        name=_UNKNOWN,
        labels=tuple(labels or ()),
        thresholds=None if thresholds is None else tuple(map(float, thresholds)),
        window_samples=WINDOW_SAMPLES,
        fingerprint="",
    )
