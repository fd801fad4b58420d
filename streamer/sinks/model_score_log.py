"""Score log of a live session, whose model may change: the log holds the scores of one model only."""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import SinkError
from ..messages import Losses, Message, Samples
from .score_log import ScoreLog

_log = logging.getLogger(__name__)


class ModelScoreLog:
    """Score log that begins with the model that is to stay, and ends where another one takes its place.

    Parameters
    ----------
    path : Path
        File of the log.

    Raises
    ------
    SinkError
        The folder of the file does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log: ScoreLog | None = None
        self._model: str | None = None
        if not path.absolute().parent.is_dir():
            raise SinkError(f"the score log {path} can't be written: there is no folder {path.parent}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(
        self, model: str, labels: Sequence[str], thresholds: Samples | None, own: int | None = None
    ) -> None:
        """Log the taggings from now on, which are of this model; end the log of another one. Parameters as for `ScoreLog`.

        Raises
        ------
        SinkError
            The file can't be written, is not a score log, or belongs to another model.
        """
        if self._model not in {None, model}:
            self.close()
            raise SinkError(
                f"the score log {self._path} is of the model {self._model}, and ends here: set --score-log to another file"
            )
        if self._log is None:
            self._model = model
            self._log = ScoreLog(self._path, model=model, labels=labels, thresholds=thresholds, own=own)

    def go_on(
        self, model: str, labels: Sequence[str], thresholds: Samples | None, own: int | None = None
    ) -> None:
        """Do the same as `begin` while the session runs: an error is logged, and listening goes on."""
        try:
            self.begin(model, labels, thresholds, own)
        except SinkError as error:
            _log.warning("scores of %s are not logged: %s", model, error)

    def follow_taught(self, labels: Sequence[str], thresholds: Samples | None) -> None:
        """Log further scores, of sounds that were taught; `labels` begins with those so far."""
        if self._log is not None:
            self._log.set_labels(labels, thresholds)

    def accept(self, message: Message) -> None:
        """Log a tagging, or end a stretch; ignore other messages."""
        if self._log is not None:
            self._log.accept(message)

    def losses(self) -> Losses:
        """Return the number of taggings that could not be written so far; from any thread, at once."""
        log = self._log
        return Losses() if log is None else log.losses()

    def close(self) -> None:
        """Close the file, if it is open."""
        log, self._log = self._log, None
        if log is not None:
            log.close()
