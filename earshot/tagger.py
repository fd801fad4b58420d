"""The tagger that the settings ask for."""

import gc
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models.catalogue import EMBEDDED, longest_window_seconds
from models.errors import CheckpointError
from models.loading import load_here, only_embedded_runs, require_local, suits_embedded
from models.worker_addresses import is_address

from .own_sounds import with_own_sounds

if TYPE_CHECKING:
    from models.engines import EngineName, Precision
    from models.loading import AnyTagger
    from models.selection.candidates import Estimate, Task
    from models.tagger import Tagger
    from streamer.settings.schema import Settings
    from streamer.sinks.payloads import LabelSet

    from .own_sounds import SoundTagger

_COMFORTABLE_LOAD = 0.25
"""Share of the hop that inference may take before precision is traded for speed."""

AUTO = "auto"
AS_REQUESTED = "as requested"
WITHOUT_PYTORCH = "PyTorch is not installed"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model and the reason for it.

    Attributes
    ----------
    name, reason : str
        Name of the model, and the reason as part of a line in a log.
    incomplete : bool
        True if a better model could not be fetched now.
    """

    name: str
    reason: str
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Settings that concern the model, as plain values.

    Attributes
    ----------
    model, device, engine, precision, window, offline, fstride, tstride, input_tdim
        Settings of the same names.
    hop : float
        Mean hop of the sources, in seconds.
    sources : int
        Number of sources.
    """

    model: str
    device: str
    engine: "EngineName"
    precision: "Precision"
    window: float | None
    offline: bool
    fstride: int | None
    tstride: int | None
    input_tdim: int | None
    hop: float
    sources: int

    @classmethod
    def of(cls, settings: "Settings") -> "ModelRequest":
        """Return the request of settings."""
        return cls(
            model=settings.model,
            device=settings.device,
            engine=settings.engine,
            precision=settings.precision,
            window=settings.window,
            offline=settings.offline,
            fstride=settings.fstride,
            tstride=settings.tstride,
            input_tdim=settings.input_tdim,
            hop=settings.mean_hop,
            sources=len(settings.source),
        )


def choose_model(settings: "Settings", *, only_ast: bool = False) -> ModelChoice:
    """Return the model that is set, or with ``auto`` the best one for this machine."""
    return choose(ModelRequest.of(settings), only_ast=only_ast)


def choose(request: ModelRequest, *, only_ast: bool = False) -> ModelChoice:
    """Return the model that is requested, or with ``auto`` the best one, or the best AST, for this machine."""
    if request.model != AUTO:
        return ModelChoice(request.model, AS_REQUESTED)
    if only_embedded_runs():
        return ModelChoice(EMBEDDED, WITHOUT_PYTORCH)
    require_local()
    from models.selection import model_choice

    task = _task_of(request)
    choice = model_choice.choose(
        replace(task, families=("ast",)) if only_ast else task, offline=request.offline
    )
    return ModelChoice(choice.model, choice.reason, choice.incomplete)


def best_model(settings: "Settings") -> "Estimate | None":
    """Return the best model that keeps up on this machine, whether it is here or not; None if none does."""
    from models.selection.candidates import best_that_keeps_up

    return best_that_keeps_up(_task_of(ModelRequest.of(settings)))


def _task_of(request: ModelRequest) -> "Task":
    from models.selection.candidates import Task

    return Task(
        hop_seconds=request.hop,
        sources=request.sources,
        window_seconds=request.window,
        device=request.device,
        engine=request.engine,
    )


def require_window(settings: "Settings", model: str) -> None:
    """Check that a model takes windows of the length that is set, before it is downloaded.

    Raises
    ------
    SettingsError
        They are too long for it.
    """
    longest = longest_window_seconds(model)
    if longest is not None and settings.window is not None and settings.window > longest:
        from streamer.errors import SettingsError

        raise SettingsError(f"--window must be at most {longest:g} s with {model}, not {settings.window:g} s")


def load_chosen(settings: "Settings", choice: ModelChoice | None = None) -> "SoundTagger":
    """Load the tagger, with the taught sounds; one line in the log says which model it is and why.

    Raises
    ------
    ModelError
        It can't be loaded.
    SettingsError
        The window is too long for it.
    """
    choice = choice or choose_model(settings)
    tagger = with_own_sounds(load(settings, choice.name))
    log_model(tagger, choice.reason)
    return tagger


def log_model(tagger: "SoundTagger", reason: str) -> None:
    """Log which model tags from now on, and why, and which sounds it can't recognise until they are taught to it."""
    _log.info(
        "model %s (%s), %d classes, %s", tagger.name, reason, len(tagger.labels), tagger.engine.description
    )
    if unknown := tagger.describe_unknown():
        _log.warning("%s", unknown)


def load(settings: "Settings", model: str) -> "AnyTagger":
    """Load a model as the settings say, or connect to the workers that have it.

    Raises
    ------
    ModelError
        It can't be loaded.
    SettingsError
        The window is too long for it.
    """
    require_window(settings, model)
    if is_address(model):
        from models.remote import load_remote

        return load_remote(model, token=settings.worker_token(), window_seconds=settings.window)
    return load_requested(ModelRequest.of(settings), model)


def load_fallback(settings: "Settings", labels: "Sequence[str]") -> "SoundTagger | None":
    """Load the model for windows without an answer of a worker; None if there is to be none.

    Raises
    ------
    ModelError
        It can't be loaded, or has other classes than the workers' model.
    """
    if settings.fallback is None:
        return None
    fallback = with_own_sounds(load_requested(ModelRequest.of(settings), settings.fallback))
    if tuple(fallback.labels) != tuple(labels):
        raise CheckpointError(
            f"{fallback.name} has other classes than the workers' model: choose another --fallback"
        )
    return fallback


def load_first(request: ModelRequest) -> "Tagger":
    """Load the embedded model so that it tags soon: on the processor, which needs no preparation.

    Raises
    ------
    ModelError
        The requested device, engine or precision is not available on this machine.
    """
    with _without_garbage_collection():
        if not suits_embedded(device=request.device, engine=request.engine, precision=request.precision):
            require_local()
            from models.selection.engine_choice import check_request

            check_request(request.device, request.engine, request.precision)
        engine: EngineName = "torch" if request.engine == "torch" else "auto"
        return load_here(
            EMBEDDED, device="cpu", engine=engine, precision="fp32", window_seconds=request.window
        )


def load_requested(request: ModelRequest, model: str) -> "Tagger":
    """Load a model as a request says.

    Raises
    ------
    ModelError
        It can't be loaded.
    """
    with _without_garbage_collection():
        return load_here(
            model,
            device=request.device,
            engine=request.engine,
            precision=request.precision,
            window_seconds=request.window,
            offline=request.offline,
            fstride=request.fstride,
            tstride=request.tstride,
            input_tdim=request.input_tdim,
            enough_seconds=_COMFORTABLE_LOAD * request.hop / request.sources,
        )


def label_set(labels: "Sequence[str]") -> "LabelSet":
    """Return labels with their AudioSet ids."""
    from models.labels import mid_of
    from streamer.sinks.payloads import LabelSet

    return LabelSet(labels=tuple(labels), mids=tuple(map(mid_of, labels)))


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collect no garbage while libraries are imported, which saves a tenth of their time: their objects stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
