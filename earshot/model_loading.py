"""Models of a live session: the embedded one at once, and the requested one as soon as it is ready."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from models import catalogue
from models.catalogue import EMBEDDED
from models.errors import CheckpointError, HubError
from models.known_labels import scores_audioset
from models.loading import only_embedded_runs, suits_embedded
from streamer.runtime.version import own_version

from .model_preparation import Kind
from .own_sounds import with_own_sounds
from .progress import Tenths
from .tagger import (
    AS_REQUESTED,
    AUTO,
    WITHOUT_PYTORCH,
    ModelChoice,
    ModelRequest,
    choose,
    load_first,
    load_requested,
)

if TYPE_CHECKING:
    from models.selection.json_cache import JsonCache
    from models.tagger import Tagger

    from .own_sounds import SoundTagger

_FIRST_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 3600.0
_POLL_SECONDS = 0.5
_PREPARED_SECONDS = 6 * 24 * 3600.0
"""Time for which a model counts as prepared: shorter than the lifetime of the measurements behind ``auto``."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to tag.

    Attributes
    ----------
    tagger : Tagger or TaughtTagger
        Tagger to use from now on.
    reason : str
        Reason for the model, as part of a line in the log.
    is_first : bool
        True if it tags only until the requested model is ready.
    """

    tagger: "SoundTagger"
    reason: str
    is_first: bool


class _NotPreparedError(Exception):
    """The model is not ready, and another attempt may help."""


class ModelLoading:
    """Loads the embedded model, then the requested one, which may take minutes at its first use.

    A model with classes of its own is loaded alone.

    The requested model is prepared by a process of its own, at low priority; then it is loaded from the caches. If it can't be fetched, there
    are further attempts, with pauses that grow from half a minute to an hour.

    Parameters
    ----------
    request : ModelRequest
        Requested model.
    labels : sequence of str
        Names of its classes, then those of the taught sounds.
    own_sounds : sequence of str
        Names of the taught sounds.

    Attributes
    ----------
    state : str
        Model that is being loaded, with the progress; empty if there is none.
    """

    def __init__(self, request: ModelRequest, labels: Sequence[str], own_sounds: Sequence[str] = ()) -> None:
        self._request = request
        self._labels, self._own_sounds = labels, own_sounds
        self._wanted = _words_for(request.model)
        self._ready: SimpleQueue[LoadedModel] = SimpleQueue()
        self._stopped = threading.Event()
        self._interrupt: Callable[[], None] = lambda: None
        self._offered: tuple[str, bool] | None = None
        self._begins_with_embedded = scores_audioset(request.model)
        self.state = EMBEDDED if self._begins_with_embedded else self._wanted

    def take(self) -> LoadedModel | None:
        """Return the model to use from now on; None if there is no news."""
        try:
            return self._ready.get_nowait()
        except Empty:
            return None

    def run(self) -> None:
        """Load the models, until the requested one is ready or `stop` is called.

        Raises
        ------
        ModelError
            A model can't be loaded, and another attempt would not help.
        """
        if not self._begins_with_embedded:
            self._load_alone()
            return
        first = load_first(self._request)
        is_final, reason = self._verdict(first)
        self._offer(first, reason, is_first=not is_final)
        self.state = ""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not is_final and not self._stopped.is_set():
            self.state = self._wanted
            try:
                is_final = self._attempt()
            except (HubError, _NotPreparedError) as error:
                if isinstance(error, HubError) and self._is_offline():
                    raise
                _log.warning(
                    "%s is not ready (%s); trying again in %s", self._wanted, error, _duration(pause_seconds)
                )
            self.state = ""
            if not is_final:
                self._stopped.wait(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def stop(self) -> None:
        """Make `run` return: at once, unless a library is at work, which ends with the program."""
        self._stopped.set()
        self._interrupt()

    def _load_alone(self) -> None:
        """Load a model that no other one can precede, because it has classes of its own."""
        choice = choose(self._request)
        tagger = load_requested(self._request, choice.name)
        if tuple(tagger.labels) != tuple(self._labels)[: len(tagger.labels)]:
            raise CheckpointError(f"{choice.name} has changed while it was read: start again")
        self._offer(tagger, choice.reason, is_first=False)
        self.state = ""

    def _offer(self, tagger: "Tagger", reason: str, *, is_first: bool) -> None:
        """Hand over a tagger, with the taught sounds."""
        self._ready.put(LoadedModel(with_own_sounds(tagger, self._own_sounds), reason, is_first=is_first))

    def _verdict(self, first: "Tagger") -> tuple[bool, str]:
        """Return True if no other model will follow the first one, and the reason for it."""
        request = self._request
        if request.model == AUTO and only_embedded_runs():
            return True, WITHOUT_PYTORCH
        if request.model == EMBEDDED:
            return self._is_enough(first), AS_REQUESTED
        return False, f"until {self._wanted} is ready"

    def _is_enough(self, first: "Tagger") -> bool:
        """Return True if the embedded model is on the engine that is requested."""
        request = self._request
        if request.precision not in {"auto", "fp32"}:
            return False
        if request.fstride or request.tstride or request.input_tdim:
            return False  # the loading of the requested model checks them
        if suits_embedded(device=request.device, engine=request.engine):
            return True
        if request.engine != "torch":
            return False
        from models.engines.torch_engine import pick_device

        return f"torch {pick_device(request.device)} fp32" == first.engine.description

    def _is_offline(self) -> bool:
        from models import hub

        return self._request.offline or hub.is_offline_mode()

    def _attempt(self) -> bool:
        """Load the requested model; return True if no better one may follow."""
        prepared = _prepared()
        key = f"{own_version()} {json.dumps(asdict(self._request))}"
        choice = choose(self._request) if prepared.get(key) else self._prepare()
        if self._stopped.is_set():
            return True
        offered = choice.name, choice.incomplete
        if offered != self._offered:
            tagger = self._load(choice.name)
            self._offered = offered
            self._offer(tagger, choice.reason, is_first=choice.incomplete)
        if choice.incomplete:
            raise _NotPreparedError("it could not be fetched")
        prepared.put(key, value=True)
        return True

    def _load(self, name: str) -> "Tagger":
        """Load a model that is prepared and has the same classes."""
        try:
            tagger = load_requested(self._request, name)
        except (RuntimeError, MemoryError, OSError) as error:  # such as a GPU whose memory is full
            raise _NotPreparedError(str(error).partition("\n")[0] or type(error).__name__) from error
        count = len(self._labels) - len(self._own_sounds)
        if len(tagger.labels) != count:
            raise CheckpointError(
                f"{name} has {len(tagger.labels)} classes instead of {count}: choose another model"
            )
        return tagger

    def _prepare(self) -> ModelChoice:
        """Prepare the model in a process of its own; return the choice."""
        from streamer.runtime.children import ChildEnded, ChildProcess

        nothing = ModelChoice(self._wanted, AS_REQUESTED)
        log_progress = Tenths()
        try:
            with ChildProcess("earshot.model_preparation") as child:
                self._interrupt = child.close
                child.send(Kind.PREPARE, json.dumps(asdict(self._request)).encode())
                while not self._stopped.is_set():
                    message = child.receive(_POLL_SECONDS)
                    if message is None:
                        continue
                    content = json.loads(message.content)
                    match message.kind:
                        case Kind.READY:
                            return ModelChoice(**content)
                        case Kind.FAILED:
                            raise (HubError if content["hub"] else CheckpointError)(content["text"])
                        case Kind.LOG:
                            logging.getLogger(content["logger"]).log(content["level"], "%s", content["text"])
                        case Kind.FETCHED:
                            self._note_progress(content, log_progress)
        except ChildEnded as end:
            raise _NotPreparedError(f"its preparation ended with {end}") from end
        except OSError as error:
            raise _NotPreparedError(f"no process for its preparation: {error}") from error
        return nothing

    def _note_progress(self, content: dict[str, Any], log: Tenths) -> None:
        repository, percent = content["repository"], content["percent"]
        names = {entry.repository: entry.name for entry in catalogue.PUBLISHED.values()}
        name = names.get(repository, repository.rpartition("/")[2])
        self.state = f"{name}, {percent} % fetched" if percent < 100 else name
        log(f"fetching {name}", percent, 100)


def _words_for(model: str) -> str:
    """Return the name of a requested model in sentences."""
    special = {AUTO: "the best model", EMBEDDED: f"{EMBEDDED} on a faster engine"}
    return special.get(model) or (Path(model).name if Path(model).exists() else model)


def _prepared() -> "JsonCache":
    """Return the requests whose models are in the caches."""
    from models.selection.json_cache import JsonCache

    return JsonCache.in_user_cache("prepared.json", _PREPARED_SECONDS)


def _duration(seconds: float) -> str:
    from streamer.runtime.timing import format_duration

    return format_duration(seconds)
