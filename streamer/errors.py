"""What can go wrong in the stream. Each message is one sentence that says what to do.

::

    StreamerError
    ├── SettingsError       a setting is unknown or out of range (exit code 2)
    ├── SourceError         sound can't be had
    │   ├── DeviceError       no PortAudio, no such microphone, it stopped
    │   ├── RecordingError    no such file, unreadable, empty
    │   └── NetworkError      a server can't be reached, refuses or has stopped; a socket has no sender
    └── SinkError           results can't be delivered
        ├── BrokerError         the MQTT broker refuses, or can't be reached
        └── OutputClosed        nobody reads standard output any more
"""

from typing import Literal

from .text import one_sentence


class StreamerError(Exception):
    """Base of everything that this package raises on purpose."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_sentence(sentence))


class SettingsError(StreamerError):
    """A setting is unknown, malformed or out of range."""


class SourceError(StreamerError):
    """A source can't be opened, or has failed."""


class DeviceError(SourceError):
    """A microphone can't be opened, or has stopped delivering."""


class RecordingError(SourceError):
    """A recording is missing, unreadable or empty."""


class NetworkError(SourceError):
    """A stream from the network can't be had, or nobody sends to a socket any more."""


class SinkError(StreamerError):
    """A sink can't be set up."""


class BrokerError(SinkError):
    """The MQTT broker refuses, or can't be reached.

    Parameters
    ----------
    kind : {"refused", "unreachable"}
        Which of both.
    reason : str
        Why, for people; what to do about it follows behind a colon, where that is known.
    """

    def __init__(self, kind: Literal["refused", "unreachable"], reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason

    @property
    def complaint(self) -> str:
        """What the broker does, for people."""
        return "refuses the connection" if self.kind == "refused" else "can't be reached"


class OutputClosed(SinkError):  # noqa: N818 - whoever reads has read enough: nothing went wrong
    """Nobody reads standard output any more, as after ``| head -1``: the program ends quietly."""
