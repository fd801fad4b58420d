"""The command ``models``: what there is, and fetching it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from ..remembered import Choice, remembered_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..training.dataset import Reader


_ROWS_PER_SECOND = 100
_TINY_GIGAFLOP = gigaflop(192, 12, 16, 16, 1024)
_NEEDS = ((30.0, "any machine"), (130.0, "fast CPU"), (300.0, "many cores"))
"""What keeps up with a hop of 1 s, by GFLOP a window; beyond, a GPU."""

app = typer.Typer(help="List the models, or fetch some.")


@dataclass(frozen=True, slots=True)
class _Row:
    """What people want to know of a model.

    Attributes
    ----------
    name, figure : str
        What it is called; how good it is.
    mean_average_precision : float or None
        On AudioSet, where it was measured.
    classes : int
    seconds : float
        Of a window.
    strides : tuple of (int, int)
        Along mel bins and rows, of each part.
    megabytes : int
        Of all its weights.
    gigaflop : float
        Of a window.
    needs : str
        What keeps up with a hop of 1 s.
    choice : Choice or None
        What has run it here lately.
    here, parts : int
        How many of its parts are on this machine, and how many it has.
    repositories : tuple of str
        Of its parts, on the Hub.
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
    choice: Choice | None
    here: int
    parts: int
    repositories: tuple[str, ...]


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list on standard output.")] = False,
) -> None:
    """List the models, or fetch some: models download NAME."""
    if context.invoked_subcommand is not None:
        return
    rows = [_tiny(), *(_row(name, (entry,)) for name, entry in PUBLISHED.items())]
    rows += [_row(name, tuple(PUBLISHED[part] for part in parts)) for name, parts in ENSEMBLES.items()]
    if as_json:
        typer.echo(json.dumps([_public(row) for row in rows], indent=2, ensure_ascii=False))
    else:
        _print_table(rows)


def _tiny() -> _Row:
    from importlib.resources import files

    size = Path(str(files("models") / "assets" / "tiny.safetensors")).stat().st_size
    return _Row(
        name=EMBEDDED,
        figure="see its card",
        mean_average_precision=None,
        classes=527,
        seconds=10.24,
        strides=((16, 16),),
        megabytes=round(size / 1e6),
        gigaflop=_TINY_GIGAFLOP,
        needs=_needs(_TINY_GIGAFLOP),
        choice=remembered_choice(EMBEDDED),
        here=1,
        parts=1,
        repositories=(),
    )


def _row(name: str, parts: tuple[Published, ...]) -> _Row:
    from .. import hub

    first = parts[0]
    cost = sum(part.gigaflop for part in parts)
    score = first.mean_average_precision if len(parts) == 1 else ENSEMBLE_MEAN_AVERAGE_PRECISION[name]
    return _Row(
        name=name,
        figure=first.figure if len(parts) == 1 else f"mAP {score:.3f}",
        mean_average_precision=score,
        classes=first.classes,
        seconds=first.rows / _ROWS_PER_SECOND,
        strides=tuple((part.fstride, part.tstride) for part in parts),
        megabytes=sum(part.megabytes for part in parts),
        gigaflop=cost,
        needs=_needs(cost),
        choice=remembered_choice(name),
        here=sum(hub.local(part.repository) is not None for part in parts),
        parts=len(parts),
        repositories=tuple(part.repository for part in parts),
    )


def _needs(cost: float) -> str:
    return next((words for most, words in _NEEDS if cost <= most), "GPU")


def _public(row: _Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "aliases": [alias for alias, name in ALIASES.items() if name == row.name],
        "figure": row.figure,
        "mean_average_precision": row.mean_average_precision,
        "classes": row.classes,
        "window_seconds": row.seconds,
        "strides": row.strides,
        "megabytes": row.megabytes,
        "gigaflop_per_window": round(row.gigaflop, 1),
        "needs": row.needs,
        "engine": row.choice and row.choice.engine,
        "seconds_per_window_here": row.choice and row.choice.seconds,
        "on_this_machine": row.here == row.parts,
        "parts_on_this_machine": row.here,
        "repositories": row.repositories,
    }


def _print_table(rows: "Sequence[_Row]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for title, right in (
        ("name", False),
        ("accuracy", False),
        ("classes", True),
        ("seconds", True),
        ("strides", True),
        ("MB", True),
        ("runs on", False),
        ("here", False),
    ):
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "accuracy")
    for row in rows:
        alias = "".join(f" ({alias})" for alias, name in ALIASES.items() if name == row.name)
        table.add_row(
            row.name + alias,
            row.figure,
            str(row.classes),
            f"{row.seconds:g}",
            _span(row.strides),
            str(row.megabytes),
            row.needs,
            _presence(row),
        )
    Console().print(table)
    ran = [f"{row.name} ({row.choice.engine}, {row.choice.seconds:.2g} s)" for row in rows if row.choice]
    if ran:
        typer.echo(f"\nThe fastest that kept the scores here, and seconds of a window: {', '.join(ran)}.")
    typer.echo(
        "\nmAP: mean average precision on AudioSet's evaluation set, measured by AST's authors; the card of tiny is"
        "\nmodels/assets/tiny.md. seconds: of a window. runs on: what keeps up with a hop of 1 s; a GPU does with all."
        "\nTo fetch one: models download NAME, which also takes hub:OWNER/REPO."
    )


def _span(strides: tuple[tuple[int, int], ...]) -> str:
    """The strides of all parts, which are the same along mel bins and rows."""
    values = sorted({stride for pair in strides for stride in pair})
    return str(values[0]) if len(values) == 1 else f"{values[0]}-{values[-1]}"


def _presence(row: _Row) -> str:
    if row.parts > 1 and 0 < row.here < row.parts:
        return f"{row.here} of {row.parts}"
    return "yes" if row.here else "no"


@app.command()
def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Of the list, or hub:OWNER/REPO.")],
) -> None:
    """Fetch models, so that they work offline, and check them."""
    from ..errors import ModelError

    failed = False
    for name in dict.fromkeys(part for given in names for part in ENSEMBLES.get(given, (given,))):
        try:
            typer.echo(_download(name))
        except ModelError as error:
            failed = True
            typer.echo(f"earshot: {error}", err=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def quantize(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of the list, hub:OWNER/REPO, or a path.")],
    sound: Annotated[
        list[Path], typer.Option(metavar="FILE", help="A recording of what it is to hear. Repeatable.")
    ],
    window: Annotated[
        float | None, typer.Option(min=1.0, max=10.24, help="Seconds looked at.  [the model's own]")
    ] = None,
) -> None:
    """Quantize a model to 8 bits anew, on sounds of your own, for --precision int8."""
    from rich.console import Console

    from ..errors import EngineError, SoundError
    from ..quantizing import quantize_on

    read: Reader = context.obj
    try:
        sounds = [read(path) for path in sound]
    except SoundError as error:
        raise EngineError(f"nothing is quantized: {error}") from error
    with Console(stderr=True).status("quantizing"):
        outcome = quantize_on(name, sounds, window_seconds=window)
    typer.echo(
        f"{name}: quantized on {outcome.windows} windows; on the sounds that ship, scores differ by up to "
        f"{outcome.difference:.3f} from those in 32 bits, and {outcome.agreement:.1%} of the five highest tags are the same"
    )


def _download(name: str) -> str:
    """Fetch and check one model: what there is to say about it."""
    from .. import hub
    from ..checkpoints import load_checkpoint

    if name == EMBEDDED:
        return f"{name}: is part of Earshot"
    entry = published(name)
    repository, revision = _repository(name, entry)
    there = hub.local(repository, revision=revision) is not None
    folder = hub.fetch(repository, revision=revision)
    load_checkpoint(name, offline=True)  # which checks it
    state = "is already on this machine" if there else "fetched"
    return f"{name}: {state}, {_folder_megabytes(folder):.0f} MB in {folder}"


def _repository(name: str, entry: Published | None) -> tuple[str, str | None]:
    """Repository and revision of what a user named."""
    from difflib import get_close_matches

    from ..errors import CheckpointError

    if entry is not None:
        return entry.repository, None
    if named := repository_of(name):
        return named
    near = get_close_matches(name, [*ALIASES, *PUBLISHED, *ENSEMBLES, EMBEDDED], n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"take a name that models lists, or {HUB}OWNER/REPO"
    raise CheckpointError(f"there is no model '{name}' to fetch: {hint}")


def _folder_megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6
