"""The command ``forget``."""

from collections.abc import Sequence

import typer

from .. import settings
from ..failures import UsageError
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
        return not dry_run and (yes or _agrees())

    removed = remove(chosen, confirm)
    typer.echo(f"Removed {removed} retained messages." if removed else "Nothing was removed.")


def _agrees() -> bool:
    """Ask on the terminal.

    Raises
    ------
    UsageError
        Nobody can answer.
    """
    try:
        return typer.confirm("Remove them from the broker?", default=False)
    except typer.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise
        typer.echo()
        raise UsageError(
            "no answer on standard input: give --yes to remove them without a question"
        ) from None
