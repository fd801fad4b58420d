"""What can go wrong with models. Each message is one sentence that says what to do.

::

    ModelError
    ├── CheckpointError       a checkpoint is unknown, missing, broken or of a wrong shape
    │   └── HubError          it can't be fetched (network, no such repository, disk)
    ├── EngineError           the asked device, engine or precision can't be had here
    ├── SoundError            a recording can't be read
    └── TrainingError         training or evaluation can't go on (data, disk, diverged loss)
"""

_MAX_CHARACTERS = 1000


class ModelError(Exception):
    """Base of everything that this package raises on purpose: one line to read, whatever of the user's the sentence repeats."""

    def __init__(self, sentence: str) -> None:
        super().__init__(_one_line(sentence))


def _one_line(text: str) -> str:
    """Replace control characters, and leave out the middle of what is too long."""
    half = _MAX_CHARACTERS // 2 - 2
    line = " ".join(text.split())
    if len(line) > _MAX_CHARACTERS:
        line = f"{line[:half]} … {line[-half:]}"
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )


class CheckpointError(ModelError):
    """A checkpoint is unknown, missing, broken or of a wrong shape."""


class HubError(CheckpointError):
    """A checkpoint can't be fetched."""


class EngineError(ModelError):
    """The asked device, engine or precision can't be had on this machine."""


class SoundError(ModelError):
    """A recording can't be read."""


class TrainingError(ModelError):
    """Training or evaluation can't go on."""
