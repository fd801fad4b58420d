"""Audio tagging with AST and CED models.

>>> from models import load_tagger
>>> tagger = load_tagger("tiny")
>>> scores = tagger(samples)  # float32 (n,) at 16 kHz -> float32 (1, 527) in 0..1
"""

from typing import TYPE_CHECKING, Any

from .errors import CheckpointError, EngineError, ModelError, TrainingError, WorkersError
from .telemetry import switch_off

if TYPE_CHECKING:
    from .loading import load_tagger
    from .tagger import Tagger

switch_off()  # before any module of this package imports a library that reports home

__all__ = [
    "CheckpointError",
    "EngineError",
    "ModelError",
    "Tagger",
    "TrainingError",
    "WorkersError",
    "load_tagger",
]


def __getattr__(name: str) -> Any:
    """Import torch when a tagger is first used: `--help` must be instant."""
    if name == "load_tagger":
        from .loading import load_tagger

        return load_tagger
    if name == "Tagger":
        from .tagger import Tagger

        return Tagger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
