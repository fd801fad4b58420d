"""Exceptions of models. Each message is one sentence: the problem, then the solution.

::

    ModelError
    ├── CheckpointError       a checkpoint is unknown, missing, damaged or of a wrong shape
    │   └── HubError          a checkpoint can't be fetched (network, no such repository, disk)
    ├── EngineError           the requested device, engine or precision is not available
    ├── WorkersError          the workers at an address can't be reached, refuse, or have another model
    │   └── WorkersAwayError      no worker answers now; another attempt may help
    ├── SoundError            a recording can't be read
    ├── TeachingError         a sound can't be taught (its examples, its name, its file)
    │   ├── ExampleError          a recording can't be an example of a sound
    │   └── NameTakenError        a sound can't have this name
    └── TrainingError         training or evaluation can't continue (data, disk, diverged loss)
"""

_MAX_CHARACTERS = 1000


class ModelError(Exception):
    """Base class of this package's exceptions. Their message is always a single line, even with text from the user in it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(_one_line(sentence))


def _one_line(text: str) -> str:
    """Replace control characters, and omit the middle of a text that is too long."""
    half = _MAX_CHARACTERS // 2 - 2
    line = " ".join(text.split())
    if len(line) > _MAX_CHARACTERS:
        line = f"{line[:half]} … {line[-half:]}"
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )


class CheckpointError(ModelError):
    """A checkpoint is unknown, missing, damaged or of a wrong shape."""


class HubError(CheckpointError):
    """A checkpoint can't be fetched."""


class EngineError(ModelError):
    """The requested device, engine or precision is not available on this machine."""


class WorkersError(ModelError):
    """The workers at an address can't be reached, refuse what is asked, or have another model."""


class WorkersAwayError(WorkersError):
    """No worker answers now, and another attempt may help."""


class SoundError(ModelError):
    """A recording can't be read."""


class TrainingError(ModelError):
    """Training or evaluation can't continue."""


class TeachingError(ModelError):
    """A sound can't be taught, or its file can't be read or written."""


class NameTakenError(TeachingError):
    """A sound can't have this name, which is that of another sound or class."""


class ExampleError(TeachingError):
    """A recording can't be an example of a sound.

    Parameters
    ----------
    sentence : str
        The message.
    example : str
        Name of the recording.

    Attributes
    ----------
    example : str
        Name of the recording.
    """

    def __init__(self, sentence: str, example: str) -> None:
        super().__init__(sentence)
        self.example = example
