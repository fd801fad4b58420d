"""Lists and downloads models."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from .. import hub
from ..catalogue import (
    ALIASES,
    EMBEDDED,
    ENSEMBLE_MEAN_AVERAGE_PRECISION,
    ENSEMBLES,
    HUB,
    PUBLISHED,
    Published,
    gigaflop,
    published,
    repository_of,
)
from ..errors import CheckpointError
from .estimates import seconds_per_gigaflop
from .json_cache import EngineChoice, cached_choice
from .speed_cache import cached_seconds

_ROWS_PER_SECOND = 100
_TINY_GIGAFLOP = gigaflop(192, 12, 2 + 8 * 64)
_NEEDS = ((30.0, "any machine"), (130.0, "fast CPU"), (300.0, "many cores"))
"""Machines that keep up with a hop of 1 s, by GFLOP a window; beyond, a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Facts about a model.

    Attributes
    ----------
    name, figure : str
        Name, and accuracy in words.
    mean_average_precision : float or None
        Accuracy on AudioSet, where it was measured.
    classes : int
        Number of classes.
    seconds : float
        Length of a window.
    strides : tuple of (int, int)
        Strides along mel bins and rows, of each part.
    megabytes : int
        Size of all weights.
    gigaflop : float
        Operations for a window.
    needs : str
        Machine that keeps up with a hop of 1 s.
    choice : EngineChoice or None
        Engine that ran it last on this machine.
    seconds_here : float
        Time for a window on this machine.
    is_measured : bool
        True if that was measured with the model itself, False if it is an estimate.
    here, parts : int
        Number of its parts on this machine, and in all.
    repositories : tuple of str
        Repositories of its parts on the Hub.
    licence : str
        Licence of the weights, as SPDX names it.
    """

    name: str
    figure: str
    mean_average_precision: float | None
    classes: int
    seconds: float
    strides: tuple[tuple[int, int], ...]
    megabytes: int
    gigaflop: float
    needs: str
    choice: EngineChoice | None
    seconds_here: float
    is_measured: bool
    here: int
    parts: int
    repositories: tuple[str, ...]
    licence: str

    @property
    def aliases(self) -> list[str]:
        """Other names of the model."""
        return [alias for alias, name in ALIASES.items() if name == self.name]


def inventory() -> list[ModelInfo]:
    """List the embedded model, the published ones and the ensembles, without asking the Hub.

    The first call measures the speed of this machine, which takes some seconds.
    """
    rate = seconds_per_gigaflop()
    models = [_tiny(rate), *(_info(name, (entry,), rate) for name, entry in PUBLISHED.items())]
    models += [
        _info(name, tuple(PUBLISHED[part] for part in parts), rate) for name, parts in ENSEMBLES.items()
    ]
    return models


def _tiny(rate: float) -> ModelInfo:
    choice = cached_choice(EMBEDDED)
    size = Path(str(files("models") / "assets" / "tiny.safetensors")).stat().st_size
    return ModelInfo(
        name=EMBEDDED,
        figure="see its card",
        mean_average_precision=None,
        classes=527,
        seconds=10.24,
        strides=((16, 16),),
        megabytes=round(size / 1e6),
        gigaflop=_TINY_GIGAFLOP,
        needs=_needs(_TINY_GIGAFLOP),
        choice=choice,
        seconds_here=choice.seconds if choice else rate * _TINY_GIGAFLOP,
        is_measured=choice is not None,
        here=1,
        parts=1,
        repositories=(),
        licence="Apache-2.0",
    )


def _info(name: str, parts: tuple[Published, ...], rate: float) -> ModelInfo:
    """Return the facts about a model of one or several parts, with the seconds for 10^9 operations on this machine."""
    first, choice = parts[0], cached_choice(name)
    cost = sum(part.gigaflop for part in parts)
    estimate = sum(cached_seconds(part) or rate * part.gigaflop for part in parts)
    score = first.mean_average_precision if len(parts) == 1 else ENSEMBLE_MEAN_AVERAGE_PRECISION[name]
    return ModelInfo(
        name=name,
        figure=first.figure if len(parts) == 1 else f"mAP {score:.3f}",
        mean_average_precision=score,
        classes=first.classes,
        seconds=first.rows / _ROWS_PER_SECOND,
        strides=tuple((part.fstride, part.tstride) for part in parts),
        megabytes=sum(part.megabytes for part in parts),
        gigaflop=cost,
        needs=_needs(cost),
        choice=choice,
        seconds_here=choice.seconds if choice else estimate,
        is_measured=choice is not None,
        here=sum(hub.local(part.repository) is not None for part in parts),
        parts=len(parts),
        repositories=tuple(part.repository for part in parts),
        licence=first.licence,
    )


def _needs(cost: float) -> str:
    return next((words for most, words in _NEEDS if cost <= most), "GPU")


def parts_of(names: list[str]) -> list[str]:
    """Return the names of single models, each once, with ensembles taken apart."""
    return list(dict.fromkeys(part for name in names for part in ENSEMBLES.get(name, (name,))))


def download(name: str) -> str:
    """Fetch and check one model; return a sentence about it.

    Raises
    ------
    CheckpointError
        The model does not exist, or can't be fetched or read.
    """
    from ..checkpoints import load_checkpoint

    if name == EMBEDDED:
        return f"{name}: is part of Earshot"
    entry = published(name)
    repository, revision = _repository(name, entry)
    there = hub.local(repository, revision=revision) is not None
    folder = hub.fetch(repository, revision=revision)
    load_checkpoint(name, offline=True)  # raises if the files are damaged
    state = "is already on this machine" if there else "fetched"
    return f"{name}: {state}, {_folder_megabytes(folder):.0f} MB in {folder}"


def _repository(name: str, entry: Published | None) -> tuple[str, str | None]:
    """Return the repository and the revision of a name."""
    if entry is not None:
        return entry.repository, None
    if named := repository_of(name):
        return named
    near = get_close_matches(name, [*ALIASES, *PUBLISHED, *ENSEMBLES, EMBEDDED], n=1)
    hint = (
        f"did you mean '{near[0]}'?"
        if near
        else f"give a name that the command models lists, or {HUB}OWNER/REPO"
    )
    raise CheckpointError(f"there is no model '{name}' to fetch: {hint}")


def _folder_megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6
