"""Taggers by name: on this machine, or on workers, for which PyTorch is not needed."""

import importlib.util
import os
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

from .errors import EngineError
from .worker_addresses import is_address

if TYPE_CHECKING:
    from .engines import EngineName, Precision
    from .remote import RemoteTagger
    from .tagger import Tagger

AnyTagger: TypeAlias = "Tagger | RemoteTagger"
"""A tagger on this machine, or on workers."""

_LOCAL = ("torch", "torchaudio", "timm", "openvino", "safetensors", "huggingface_hub", "sklearn")
"""Libraries that a model on this machine needs, and workers spare a node."""


class LocalOptions(TypedDict, total=False):
    """Options of `models.tagger.load_tagger` that workers answer for themselves."""

    device: str
    engine: "EngineName"
    precision: "Precision"
    offline: bool
    fstride: int | None
    tstride: int | None
    input_tdim: int | None
    enough_seconds: float


def load_tagger(
    model: str | os.PathLike[str] = "tiny",
    *,
    window_seconds: float | None = None,
    token: str | None = None,
    **options: Unpack[LocalOptions],
) -> AnyTagger:
    """Load a model and make it ready to tag, or connect to workers that have one.

    Parameters
    ----------
    model : str or path
        As for `models.tagger.load_tagger`; or the address of workers, ``http://HOST:8000`` or ``https://HOST:8000``.
    window_seconds : float, optional
        Length of the longest window, 1 to 10.24; by default the model's own. With workers, it can only be shorter.
    token : str, optional
        Token of the workers; by default that of ``EARSHOT_MODEL_TOKEN`` or of the file that ``EARSHOT_MODEL_TOKEN_FILE`` names.
    **options
        `device`, `engine`, `precision`, `offline`, `fstride`, `tstride`, `input_tdim` and `enough_seconds` of a model on this machine, as for
        `models.tagger.load_tagger`; workers choose for themselves.

    Raises
    ------
    WorkersError
        There is no worker at the address, or it refuses.
    EngineError
        The libraries for a model on this machine are not installed; or as for `models.tagger.load_tagger`.
    CheckpointError, ValueError
        As for `models.tagger.load_tagger`.
    """
    name = os.fspath(model)
    if is_address(name):
        from .remote import load_remote

        return load_remote(name, token=token, window_seconds=window_seconds)
    require_local()
    from . import tagger

    return tagger.load_tagger(name, window_seconds=window_seconds, **options)


def require_local() -> None:
    """Check that a model can run on this machine.

    Raises
    ------
    EngineError
        The libraries for it are not installed.
    """
    missing = [name for name in _LOCAL if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineError(
            f"a model on this machine needs {missing[0]}, which is not installed: "
            'run pip install -e ".[local]" in the checkout, or give --model http://HOST:8000 for workers'
        )
