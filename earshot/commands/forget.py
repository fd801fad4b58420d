"""The command ``forget``."""

from collections.abc import Sequence

import typer

from .. import settings
from ..options import takes


@takes("forget")
def forget(context: typer.Context, *, dry_run: bool, yes: bool) -> None:
    """Remove a node from the broker and Home Assistant.

    Clears all retained messages under the base topic of --node, and its devices in Home Assistant. Use it after you have
    changed the name of a node, or before you take a machine away. It lists the topics and asks first.
    """
    from streamer.commands.forget import forget as remove

    chosen = settings.load(context)

    def confirm(topics: Sequence[str]) -> bool:
        for topic in topics:
            typer.echo(topic)
        typer.echo(f"{len(topics)} retained messages of {chosen.node}")
        return not dry_run and (yes or typer.confirm("Remove them from the broker?", default=False))

    removed = remove(chosen, confirm)
    typer.echo(f"Removed {removed} retained messages." if removed else "Nothing was removed.")
