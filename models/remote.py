"""A tagger on other machines: it sends windows to workers over HTTP, and needs neither PyTorch nor OpenVINO."""

import logging
import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import WorkersAwayError, WorkersError
from .sample_checks import SAMPLE_RATE_HZ, checked_windows
from .score_protocol import (
    SCORE_AND_EMBED_PATH,
    SCORE_PATH,
    ModelDescription,
    check_token,
    decode_row,
    encode_window,
    token_of,
)
from .worker_connection import IN_FLIGHT, Answer, Traffic, WorkerConnection
from .worker_descriptions import keep_description, kept_description

Floats = NDArray[np.float32]

_LARGEST_BATCH = 4 * IN_FLIGHT
"""Windows in one call: so many that requests wait for an answer, and not for the next call."""
_DESCRIPTION_SECONDS = 5.0
"""Time for a description; also, where sound is live, between two requests for one."""
_SHORTEST_DESCRIPTION_SECONDS = 0.25
_TRY_SECONDS = 10.0
"""Time for an answer where nothing is live."""
_PATIENCE_SECONDS = 60.0
"""Time without any answer after which a call that is not live gives up."""
_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0)
_GONE_SECONDS = 10.0
"""Time after which a model that no worker answers with has been replaced by one that was known before."""
_TEMPORARY = {0, 429, 500, 502, 503, 504}
"""Answers after which another attempt may help; 0 stands for none."""
_PRESUMED = ""
"""Fingerprint of a model whose description is presumed."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """Engine of a remote tagger, for people.

    Attributes
    ----------
    description : str
        The workers' address.
    """

    description: str


class RemoteTagger:
    """A model that runs on workers.

    Use `load_tagger` with an address to create one. One thread at a time may call it.

    A call waits until all windows have an answer, with further attempts for up to a minute without any. Where sound is live, use `in_time`.

    Parameters
    ----------
    connection : WorkerConnection
        Connections to the workers.
    description : ModelDescription
        Their model. Without a fingerprint it is presumed: their own description takes its place at their first answer.
    window_seconds : float, optional
        Length of the longest window, if it is shorter than the model's.

    Attributes
    ----------
    name, labels, fingerprint
        As the workers describe their model.
    thresholds : float32 (classes,) or None
        Calibrated thresholds of the classes, if the model has some.
    window_samples : int
        Largest number of samples in a window.
    largest_batch : int
        Most windows in one call of the stream.
    engine : RemoteEngine
        Its `description` is the workers' address.
    """

    def __init__(
        self,
        connection: WorkerConnection,
        description: ModelDescription,
        *,
        window_seconds: float | None = None,
    ) -> None:
        self._connection = connection
        self.largest_batch = _LARGEST_BATCH
        self.engine = RemoteEngine(f"workers at {connection.address}")
        self.labels = description.labels
        longest = description.window_samples
        self.window_samples = (
            longest if window_seconds is None else min(longest, round(window_seconds * SAMPLE_RATE_HZ))
        )
        self._absence = _Absence()
        self._descriptions = _Descriptions(connection)
        self._adopt(description)

    def __repr__(self) -> str:
        seconds = self.window_samples / SAMPLE_RATE_HZ
        return f"<RemoteTagger {self.name}: {len(self.labels)} classes, {seconds:g} s windows, {self.engine.description}>"

    def __call__(self, samples: ArrayLike) -> Floats:
        """Score windows, float32 (batch, n) or (n,): float32 (batch, classes) in 0..1.

        Raises
        ------
        WorkersError
            The workers do not answer for a minute, refuse, or have other classes now.
        ValueError
            As for `Tagger`.
        """
        rows = self._patient_rows(SCORE_PATH, samples)
        return _matrix(rows, len(self.labels))

    def embed(self, samples: ArrayLike) -> Floats:
        """Compute embeddings of windows, as `scores_and_embeddings` does: float32 (batch, width). Parameters and exceptions as for a call."""
        return self.scores_and_embeddings(samples)[1]

    def scores_and_embeddings(self, samples: ArrayLike) -> tuple[Floats, Floats]:
        """Score windows and compute their embeddings: float32 (batch, classes), float32 (batch, width). Parameters and exceptions as for a call.

        An embedding is a row of NaN where workers send none that fits the model: those of an earlier version (a width of 0 if all are), or with
        other weights.
        """
        return _parted(self._patient_rows(SCORE_AND_EMBED_PATH, samples), len(self.labels))

    @property
    def is_presumed(self) -> bool:
        """True until the workers have described their model."""
        return self._model == _PRESUMED

    @property
    def traffic(self) -> Traffic:
        """Figures of the requests so far."""
        return self._connection.traffic

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def in_time(self, samples: Floats, seconds: float, /) -> Floats:
        """Score windows float32 (batch, n) of live sound within a time: float32 (batch, classes).

        A window without an answer has a row of NaN. Of one that is too long, the end is scored.

        Raises
        ------
        WorkersError
            The workers have other classes now.
        ValueError
            As for `Tagger`.
        """
        return _matrix(self._rows_in_time(SCORE_PATH, samples, seconds), len(self.labels))

    def both_in_time(self, samples: Floats, seconds: float, /) -> tuple[Floats, Floats]:
        """Return scores and embeddings as `scores_and_embeddings` does, of windows as for `in_time`; those without an answer have rows of NaN."""
        return _parted(self._rows_in_time(SCORE_AND_EMBED_PATH, samples, seconds), len(self.labels))

    def _rows_in_time(self, path: str, samples: Floats, seconds: float) -> list[Floats | None]:
        until = time.monotonic() + seconds
        windows = checked_windows(samples[:, -self.window_samples :], self.window_samples)
        answers = self._connection.post(path, [encode_window(window) for window in windows], seconds)
        return self._rows(path, answers, until)

    def _patient_rows(self, path: str, samples: ArrayLike) -> list[Floats | None]:
        """Send windows until all have an answer."""
        windows = checked_windows(samples, self.window_samples)
        rows: list[Floats | None] = [None] * len(windows)
        answered_at, attempt = time.monotonic(), 0
        while missing := [index for index, row in enumerate(rows) if row is None][:_LARGEST_BATCH]:
            bodies = [encode_window(windows[index]) for index in missing]
            found = self._rows(path, answers := list(self._connection.post(path, bodies, _TRY_SECONDS)))
            for index, row in zip(missing, found, strict=True):
                rows[index] = row
            if any(row is not None for row in found):
                answered_at, attempt = time.monotonic(), 0
                continue
            self._require_hope(answers, answered_at)
            time.sleep(_PAUSES_SECONDS[min(attempt, len(_PAUSES_SECONDS) - 1)])
            attempt += 1
        return rows

    def _require_hope(self, answers: Sequence[Answer], answered_at: float) -> None:
        """Raise the reason why there is no answer if it won't go away, or has lasted too long."""
        failed = next((answer for answer in answers if answer.content is None), None)
        within_patience = time.monotonic() - answered_at <= _PATIENCE_SECONDS
        if failed is None and within_patience and _from_known(answers, self._known) != answers:
            return  # workers change over one by one
        if failed is None:
            raise WorkersError(
                f"the answers at {self._connection.address} are not scores of {self.name}: check that all workers have one model"
            )
        if failed.status not in _TEMPORARY or not within_patience:
            raise self._connection.refusal(failed)

    def _rows(self, path: str, answers: Sequence[Answer], until: float | None = None) -> list[Floats | None]:
        """Return the rows in answers; None for what is missing, is not so wide, or comes from a model that is not known."""
        answered = {answer.fingerprint for answer in answers if answer.content is not None}
        is_shorter = any(answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE for answer in answers)
        is_gone = self._absence.is_over(answered, self._model)
        if answered - self._known - {""} or is_gone or is_shorter or (self.is_presumed and answered):
            self._meet_another_model(until)
        if self.is_presumed:
            return [None] * len(answers)
        classes = len(self.labels)
        known = _from_known(answers, self._known)
        if path == SCORE_AND_EMBED_PATH:
            return [_both(answer, classes, self._model) for answer in known]
        return [_row(answer.content, classes) for answer in known]

    def _meet_another_model(self, until: float | None) -> None:
        """Ask for the model that has taken the place of this one, and go on with it if its classes are the same.

        Raises
        ------
        WorkersError
            They are not.
        """
        description = self._descriptions.ask(until)
        if description is None:
            return
        is_shorter = description.window_samples < self.window_samples and not self.is_presumed
        if description.labels != self.labels or is_shorter:
            raise WorkersError(
                f"the workers at {self._connection.address} now have {description.name}, with other classes or shorter windows: "
                "start Earshot again"
            )
        if self.is_presumed:
            self.window_samples = min(self.window_samples, description.window_samples)
            self._adopt(description)
        elif description.fingerprint != self._model:
            _log.info(
                "the workers at %s have another model now: %s (%s)",
                self._connection.address,
                description.name,
                description.fingerprint[:12],
            )
            self._adopt(description, known=self._known)  # workers change over one by one

    def _adopt(self, description: ModelDescription, known: Collection[str] = ()) -> None:
        self.name = description.name
        self.thresholds = _thresholds(description)
        self._known = {description.fingerprint, *known} - {_PRESUMED}
        self._model: str = description.fingerprint
        self.fingerprint = _with_length(description, None if self.is_presumed else self.window_samples)


def _thresholds(description: ModelDescription) -> Floats | None:
    return None if description.thresholds is None else np.array(description.thresholds, np.float32)


def _with_length(description: ModelDescription, window_samples: int | None) -> str:
    """Return the fingerprint of a model with windows of a length, as what is taught to it holds for this length only; None for its own."""
    is_whole = window_samples in {None, description.window_samples}
    return description.fingerprint if is_whole else f"{description.fingerprint} {window_samples}"


class _Descriptions:
    """Requests for the description of the workers' model."""

    def __init__(self, connection: WorkerConnection) -> None:
        self._connection = connection
        self._next_at, self._shortest_seconds = 0.0, _SHORTEST_DESCRIPTION_SECONDS

    def ask(self, until: float | None) -> ModelDescription | None:
        """Return the description, and keep it; None if there is no answer.

        Parameters
        ----------
        until : float, optional
            Monotonic time at which a call for live sound has to end. It ends little later, asks seldom if there is no answer, and then waits
            longer each time.
        """
        seconds, now = _DESCRIPTION_SECONDS, time.monotonic()
        if until is not None:
            if now < self._next_at:
                return None
            seconds = min(seconds, max(until - now, self._shortest_seconds))
        try:
            description = self._connection.describe(seconds)
        except WorkersError:
            self._next_at = time.monotonic() + _DESCRIPTION_SECONDS
            self._shortest_seconds = min(2 * self._shortest_seconds, _DESCRIPTION_SECONDS)
            return None
        self._shortest_seconds = _SHORTEST_DESCRIPTION_SECONDS
        keep_description(self._connection.address, description)
        return description


class _Absence:
    """Time for which workers have answered with other models only."""

    def __init__(self) -> None:
        self._since: float | None = None

    def is_over(self, answered: Collection[str], fingerprint: str) -> bool:
        """Note the fingerprints of answers; return True if a model has been missing for too long, and start again."""
        now = time.monotonic()
        if not answered or {fingerprint, ""} & set(answered):
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if now - self._since <= _GONE_SECONDS:
            return False
        self._since = now
        return True


def _from_known(answers: Sequence[Answer], known: Collection[str]) -> list[Answer]:
    """Return answers without the content of those from models whose fingerprint is not known."""
    return [
        answer if answer.fingerprint in known or not answer.fingerprint else replace(answer, content=None)
        for answer in answers
    ]


def load_remote(
    address: str,
    *,
    token: str | None = None,
    window_seconds: float | None = None,
    presume: Callable[[], ModelDescription] | None = None,
) -> RemoteTagger:
    """Connect to workers and ask for their model.

    Parameters
    ----------
    address : str
        Address of the workers, such as ``http://head:8000``.
    token : str, optional
        Token of the workers; by default that of ``EARSHOT_MODEL_TOKEN`` or of the file that ``EARSHOT_MODEL_TOKEN_FILE`` names.
    window_seconds : float, optional
        Length of the longest window, if it is shorter than the model's.
    presume : callable, optional
        Returns the description to begin with if no worker answers yet, nor ever did. Without it, no answer is an error.

    Raises
    ------
    WorkersAwayError
        No worker answers.
    WorkersError
        What is at the address refuses, or is no worker of Earshot.
    ModelError
        The token can't be read.
    """
    connection = WorkerConnection(address, token_of(os.environ) if token is None else check_token(token))
    try:
        try:
            description = connection.describe(_DESCRIPTION_SECONDS)
            keep_description(connection.address, description)
        except WorkersAwayError as error:
            if presume is None:
                raise
            _log.warning("%s; trying again until one answers", error)
            description = replace(kept_description(connection.address) or presume(), fingerprint=_PRESUMED)
    except BaseException:
        connection.close()
        raise
    return RemoteTagger(connection, description, window_seconds=window_seconds)


def _row(content: bytes | None, width: int | None = None) -> Floats | None:
    """Return the row in an answer; None if there is none of this width."""
    if content is None:
        return None
    try:
        row = decode_row(content)
    except ValueError:
        return None
    return row if len(row) == (width or len(row)) > 0 else None


def _both(answer: Answer, classes: int, fingerprint: str) -> Floats | None:
    """Return the scores in an answer and, if it is from the model with this fingerprint, the embedding behind them; None without scores."""
    row = _row(answer.content)
    if row is None or len(row) < classes:
        return None
    return row if answer.fingerprint in {"", fingerprint} else row[:classes]


def _matrix(rows: Sequence[Floats | None], width: int) -> Floats:
    missing = np.full(width, np.nan, np.float32)
    return np.stack([missing if row is None else row for row in rows])


def _parted(rows: Sequence[Floats | None], classes: int) -> tuple[Floats, Floats]:
    """Return the scores and the embeddings in rows; NaN for what is missing."""
    width = max((len(row) for row in rows if row is not None), default=classes)
    whole = np.full((len(rows), width), np.nan, np.float32)
    for index, row in enumerate(rows):
        if row is not None:
            whole[index, : len(row)] = row
    return whole[:, :classes], whole[:, classes:]
