"""Exceptions of the stream. Each message is one sentence: what is wrong, then what to do.

::

    StreamerError
    ├── SettingsError       a setting is unknown or out of range (exit code 2)
    ├── SourceError         a source delivers no audio
    │   ├── DeviceError       no PortAudio, no such microphone, it stopped
    │   ├── RecordingError    no such file, unreadable, empty
    │   ├── NetworkError      a server is unreachable, refuses or has stopped; a socket has no sender
    │   └── EndingError       one with its name is still shutting down
    └── SinkError           results can't be delivered
        ├── BrokerError         the MQTT broker refuses, or can't be reached
        └── OutputClosed        the reader of standard output has gone
"""

from typing import Literal

from .text import one_sentence


class StreamerError(Exception):
    """Base class of all exceptions of this package."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_sentence(sentence))


class SettingsError(StreamerError):
    """A setting is unknown, malformed or out of range."""


class SourceError(StreamerError):
    """A source can't be opened, or has failed."""


class EndingError(SourceError):
    """A source can't be added yet, because one with its name is still shutting down."""


class DeviceError(SourceError):
    """A microphone can't be opened, or has stopped delivering."""


class RecordingError(SourceError):
    """A recording is missing, unreadable or empty."""


class NetworkError(SourceError):
    """A network stream is unavailable, or the sender to a socket has gone."""


class SinkError(StreamerError):
    """A sink can't be set up, written or read."""


class BrokerError(SinkError):
    """The MQTT broker refuses, or can't be reached.

    Parameters
    ----------
    kind : {"refused", "unreachable"}
        Kind of failure.
    reason : str
        Reason for people, followed by a colon and advice if there is any.
    """

    def __init__(self, kind: Literal["refused", "unreachable"], reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason

    @property
    def complaint(self) -> str:
        """Predicate of a sentence about the broker."""
        return "refuses the connection" if self.kind == "refused" else "can't be reached"


class OutputClosed(SinkError):  # noqa: N818 - the reader has read enough: nothing went wrong
    """The reader of standard output has gone, as after ``| head -1``: the program ends quietly."""
