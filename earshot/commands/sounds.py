"""The command ``sounds``."""

import json

import typer

from ..options import takes


@takes("sounds")
def sounds(*, as_json: bool) -> None:
    """List the sounds to watch for by name.

    Any label of the model can be watched for too.
    """
    from rich.console import Console
    from rich.table import Table

    from streamer.events.catalogue import catalogue

    if as_json:
        typer.echo(json.dumps([sound.describe() for sound in catalogue()], ensure_ascii=False, indent=2))
        return
    table = Table("", "sound", "threshold", "on after", "off after", "AudioSet classes")
    for sound in catalogue():
        table.add_row(
            "*" if sound.by_default else "",
            sound.name,
            f"+{sound.above_db:g} dB" if sound.is_by_level else f"{sound.threshold:g}",
            "at once" if sound.is_by_level else f"{sound.hits} of {sound.of} windows",
            f"{sound.minimum_off_seconds:g} s",
            "; ".join(sound.classes) or "none: by its level alone",
        )
    Console().print(table)
    typer.echo("* watched by default")
