"""Audio tagging with the Audio Spectrogram Transformer.

>>> from models import load_tagger
>>> tagger = load_tagger("tiny")
>>> scores = tagger(samples)  # float32 (n,) at 16 kHz -> float32 (1, 527) in 0..1
"""

from typing import TYPE_CHECKING, Any

from .errors import CheckpointError, EngineError, ModelError, TrainingError
from .telemetry import switch_off

if TYPE_CHECKING:
    from .tagger import Tagger, load_tagger

switch_off()  # before any module of this package imports a library that reports home

__all__ = ["CheckpointError", "EngineError", "ModelError", "Tagger", "TrainingError", "load_tagger"]


def __getattr__(name: str) -> Any:
    """Import torch when a tagger is first used: `--help` must be instant."""
    if name in {"Tagger", "load_tagger"}:
        from . import tagger

        return getattr(tagger, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
