"""The commands ``models``, ``models download`` and ``models quantize``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..help import Command, Group
from ..options import takes
from ..recordings import read_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.selection.inventory import ModelInfo

app = typer.Typer(cls=Group)

_WIDTH = 80
_LEGEND = """
accuracy: mAP is the mean average precision on AudioSet's evaluation set, as
measured by the authors; for tiny, see models/assets/tiny.md.
seconds: length of a window. MB: size of the download.
ms here: time for a window on this machine, as measured; ~ estimated, in single
precision. Without --model, Earshot takes the best CED that keeps up with the
hop, and on a GPU base.
here: yes if it is on this machine. To download it: models download NAME, or
hub:OWNER/REPO.
"""


@app.callback(invoke_without_command=True)
@takes("models")
def models(context: typer.Context, *, as_json: bool) -> None:
    """List the models, or download some."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    from models.selection.inventory import inventory

    with Console(stderr=True).status("measuring this machine"):
        found = inventory()
    if as_json:
        typer.echo(json.dumps([_public(model) for model in found], indent=2, ensure_ascii=False))
    else:
        _print_table(found)


@app.command(cls=Command)
@takes("download")
def download(*, names: list[str]) -> None:
    """Download models and check them, for use offline."""
    from models.errors import ModelError
    from models.selection import inventory

    failed = False
    for name in inventory.parts_of(names):
        try:
            typer.echo(inventory.download(name))
        except ModelError as error:
            failed = True
            typer.echo(f"earshot: {error}", err=True)
    if failed:
        raise typer.Exit(1)


@app.command(cls=Command)
@takes("quantize")
def quantize(*, name: str, sound: list[Path], window: float | None) -> None:
    """Quantize a model to 8 bits on your recordings.

    Listening with --precision int8 uses the result.
    """
    from rich.console import Console

    from models.errors import EngineError, SoundError
    from models.selection.user_quantization import quantize_on

    try:
        sounds = [read_recording(path) for path in sound]
    except SoundError as error:
        raise EngineError(f"nothing is quantized: {error}") from error
    with Console(stderr=True).status("quantizing"):
        outcome = quantize_on(name, sounds, window_seconds=window)
    typer.echo(
        f"{name}: quantized on {outcome.windows} windows; on the sounds that ship, scores differ by up to "
        f"{outcome.difference:.3f} from those in 32 bits, and {outcome.agreement:.1%} of the five highest tags are the same"
    )


def _public(model: "ModelInfo") -> dict[str, Any]:
    return {
        "name": model.name,
        "aliases": model.aliases,
        "figure": model.figure,
        "mean_average_precision": model.mean_average_precision,
        "classes": model.classes,
        "window_seconds": model.seconds,
        "strides": model.strides,
        "megabytes": model.megabytes,
        "gigaflop_per_window": round(model.gigaflop, 1),
        "needs": model.needs,
        "engine": model.choice and model.choice.engine,
        "seconds_per_window_here": round(model.seconds_here, 4),
        "is_measured": model.is_measured,
        "on_this_machine": model.here == model.parts,
        "parts_on_this_machine": model.here,
        "repositories": model.repositories,
        "licence": model.licence,
    }


def _print_table(rows: "Sequence[ModelInfo]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for title, right in (
        ("name", False),
        ("accuracy", False),
        ("seconds", True),
        ("MB", True),
        ("ms here", True),
        ("licence", False),
        ("here", False),
    ):
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        alias = "".join(f" ({alias})" for alias in row.aliases)
        table.add_row(
            row.name + alias,
            row.figure,
            f"{row.seconds:g}",
            str(row.megabytes),
            ("" if row.is_measured else "~") + _milliseconds(row.seconds_here),
            row.licence,
            _presence(row),
        )
    Console(width=_WIDTH).print(table)
    typer.echo(_LEGEND)
    for row in rows:
        if row.choice:
            typer.echo(f"{row.name} was measured with {row.choice.engine}.")


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f}" if seconds >= 0.01 else f"{1e3 * seconds:.1f}"


def _presence(row: "ModelInfo") -> str:
    if row.parts > 1 and 0 < row.here < row.parts:
        return f"{row.here} of {row.parts}"
    return "yes" if row.here else "no"
