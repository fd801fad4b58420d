"""Taggers by name: on this machine, or on workers, for which PyTorch is not needed."""

import importlib.util
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

from .catalogue import EMBEDDED
from .engines.cuda_driver import has_cuda_driver
from .errors import EngineError
from .worker_addresses import is_address

if TYPE_CHECKING:
    from .engines import EngineName, Precision
    from .remote import RemoteTagger
    from .tagger import Tagger

AnyTagger: TypeAlias = "Tagger | RemoteTagger"
"""A tagger on this machine, or on workers."""

LOCAL = (
    *("torch", "torchvision", "timm", "openvino"),
    *("safetensors", "huggingface_hub", "sklearn", "matplotlib"),
)
"""Libraries that a model on this machine needs, and workers spare a node."""
_EMBEDDED_NEEDS = ("openvino", "safetensors")


class LocalOptions(TypedDict, total=False):
    """Options of `models.local.load_tagger` that workers answer for themselves."""

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
        As for `models.local.load_tagger`; or the address of workers, ``http://HOST:8000`` or ``https://HOST:8000``.
    window_seconds : float, optional
        Length of the longest window, 1 to 10.24; by default the model's own. With workers, it can only be shorter.
    token : str, optional
        Token of the workers; by default that of ``EARSHOT_MODEL_TOKEN`` or of the file that ``EARSHOT_MODEL_TOKEN_FILE`` names.
    **options
        `device`, `engine`, `precision`, `offline`, `fstride`, `tstride`, `input_tdim` and `enough_seconds` of a model on this machine, as for
        `models.local.load_tagger`; workers choose for themselves.

    Raises
    ------
    WorkersError
        There is no worker at the address, or it refuses.
    EngineError
        The libraries for a model on this machine are not installed; or as for `models.local.load_tagger`.
    CheckpointError, ValueError
        As for `models.local.load_tagger`.
    """
    name = os.fspath(model)
    if is_address(name):
        from .remote import load_remote

        return load_remote(name, token=token, window_seconds=window_seconds)
    return load_here(name, window_seconds=window_seconds, **options)


def load_here(
    model: str,
    *,
    window_seconds: float | None = None,
    **options: Unpack[LocalOptions],
) -> "Tagger":
    """Load a model on this machine, without PyTorch if it is ``tiny`` on the processor. Parameters and errors as for `load_tagger`."""
    if model == EMBEDDED and suits_embedded(**options):
        require_local(_EMBEDDED_NEEDS, "tiny")
        from .embedded import load_embedded

        with suppress(RuntimeError):  # OpenVINO can't run it here: PyTorch may
            return load_embedded(window_seconds)
    require_local()
    from . import local

    return local.load_tagger(model, window_seconds=window_seconds, **options)


def suits_embedded(**options: Unpack[LocalOptions]) -> bool:
    """Return True if options of `load_here` let the embedded model run on OpenVINO in single precision, which is fast enough everywhere."""
    device, engine = options.get("device", "auto"), options.get("engine", "auto")
    return (
        engine in {"auto", "openvino"}
        and options.get("precision", "fp32") in {"auto", "fp32"}
        and (device == "cpu" or (device == "auto" and not has_cuda_driver()))
    )


def require_local(libraries: Sequence[str] = LOCAL, extra: str = "local") -> None:
    """Check that a model can run on this machine.

    Parameters
    ----------
    libraries : sequence of str
        Libraries that it needs.
    extra : str
        Extra that contains them.

    Raises
    ------
    EngineError
        The libraries for it are not installed.
    """
    if missing := _missing(libraries):
        raise EngineError(
            f"a model on this machine needs {missing[0]}, which is not installed: "
            f'run pip install -e ".[{extra}]" in the checkout, or give --model http://HOST:8000 for workers'
        )


def only_embedded_runs() -> bool:
    """Return True if the libraries for ``tiny`` are installed, and those for other models are not."""
    return bool(_missing(LOCAL)) and not _missing(_EMBEDDED_NEEDS)


def _missing(libraries: Sequence[str]) -> list[str]:
    return [name for name in libraries if importlib.util.find_spec(name) is None]
