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
        ``tiny`` (embedded, needs no network); a published name such as ``base`` or ``base-16-16``; ``hub:OWNER/REPO`` of any
        `ASTForAudioClassification` or CED; a path: a folder written by `save_pretrained`, or a file that Earshot or the original AST code wrote;
        ``ensemble:A+B+C`` of these, whose probabilities are averaged; ``auto``, the best one that keeps up with a hop of 1 s on this machine;
        or the address of workers, ``http://HOST:8000`` or ``https://HOST:8000``. A missing model is fetched, with a progress bar.
    window_seconds : float, optional
        Length of the longest window, 1 to 10.24 (CED: 10.08); by default the model's own. With another length, an AST's positional embedding is
        adapted. With workers, it can only be shorter.
    token : str, optional
        Token of the workers; by default that of ``EARSHOT_MODEL_TOKEN`` or of the file that ``EARSHOT_MODEL_TOKEN_FILE`` names.
    **options
        Options of a model on this machine; workers choose for themselves.

        device : str
            ``auto`` (a CUDA device where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
        engine : {"auto", "torch", "openvino"}
            Engine that runs the network; ``auto`` is PyTorch on a GPU and the fastest one, usually OpenVINO, on a CPU.
        precision : {"auto", "fp32", "bf16", "fp16", "int8"}
            Precision of the matrix products, by default fp32. ``auto``, the live program's default, is fp16 on a GPU. On a CPU it is fp32 if a
            window takes at most `enough_seconds`, else the fastest one but int8 that keeps the scores (measured once, in up to a minute).
        offline : bool
            True to fetch nothing.
        fstride, tstride, input_tdim : int, optional
            Geometry of an original ``.pth`` file whose name and size do not give it.
        enough_seconds : float
            With the precision ``auto``: longest time for a window in single precision, by default 0.25 s.

    Returns
    -------
    Tagger or RemoteTagger
        Function from samples float32 (n,) or (batch, n) at 16 kHz to scores float32 (batch, classes) in 0..1.

    Raises
    ------
    WorkersError
        There is no worker at the address, or it refuses.
    CheckpointError
        The model does not exist, can't be fetched (`HubError`) or read, or the members of an ensemble do not match.
    EngineError
        The device, engine or precision is not available on this machine, or the libraries for the model are not installed.
    ValueError
        `window_seconds` is out of range.
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
        and all(options.get(name) is None for name in ("fstride", "tstride", "input_tdim"))
        and (device == "cpu" or (device == "auto" and not (has_cuda_driver() and not _missing(["torch"]))))
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
