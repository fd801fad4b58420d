"""Process that prepares a model at low priority: ``python -m earshot.model_preparation``.

It fetches, measures and translates the model as a first load does, and leaves the results in the caches, from which the program then loads it
at once. In a process of its own, this work takes no time from listening, and can be ended at any moment.
"""

import json
import logging
import os
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from typing import IO, Any

from streamer.runtime.wire import Message, begin_child

_NICENESS = 10
_OOM_SCORE = "500"
"""Score that makes Linux end this process first if memory runs out."""


class Kind(IntEnum):
    """Kinds of messages; the content is JSON."""

    PREPARE = 0
    """From the program: the fields of a `ModelRequest`."""
    LOG = 1
    """Record of a log: `logger`, `level` and `text`."""
    FETCHED = 2
    """Progress of a download: `repository`, `percent`."""
    READY = 3
    """End: the fields of a `ModelChoice`."""
    FAILED = 4
    """End: the error's `text`, and `hub`, which is true if another attempt may help."""


def main() -> None:
    """Prepare the model that the program requests, until standard input ends."""
    output = begin_child()
    _yield_to_others()
    request = Message.receive(sys.stdin.buffer)
    if request is None:
        return
    threading.Thread(target=_end_with_program, args=(sys.stdin.buffer,), daemon=True).start()
    channel = _Channel(output)
    log = logging.getLogger()
    log.addHandler(channel)
    log.setLevel(logging.WARNING)
    logging.getLogger("models").setLevel(logging.INFO)
    with suppress(BrokenPipeError):  # the program has gone
        _prepare(channel, json.loads(request.content))
    os._exit(0)  # libraries may take seconds to unload


class _Channel(logging.Handler):
    """The way to the program, for messages and for what is logged."""

    def __init__(self, output: IO[bytes]) -> None:
        super().__init__()
        self._output = output
        self._percent = -1

    def send(self, kind: Kind, **content: Any) -> None:
        """Send a message."""
        Message(kind, json.dumps(content).encode()).send(self._output)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record of the log."""
        self.send(Kind.LOG, logger=record.name, level=record.levelno, text=record.getMessage())

    def fetched(self, repository: str, done: int, total: int) -> None:
        """Send the progress of a download, if it is news."""
        percent = 100 * done // max(total, 1)
        if percent != self._percent:
            self._percent = percent
            self.send(Kind.FETCHED, repository=repository, percent=percent)


def _prepare(channel: _Channel, fields: dict[str, Any]) -> None:
    from models import hub
    from models.errors import HubError, ModelError

    from .tagger import ModelRequest, choose, load_requested

    request = ModelRequest(**fields)
    try:
        with hub.observed(channel.fetched):
            choice = choose(request)
            load_requested(request, choice.name)
    except ModelError as error:
        channel.send(Kind.FAILED, text=str(error), hub=isinstance(error, HubError))
        return
    channel.send(Kind.READY, **asdict(choice))


def _yield_to_others() -> None:
    """Leave the processor to other programs, and be the first to end if memory runs out."""
    with suppress(AttributeError, OSError):  # on Windows, or where a service manager does not allow it
        os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _end_with_program(stdin: IO[bytes]) -> None:
    """End at once when the program does."""
    stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
