"""The command ``devices``."""

import typer

from ..options import takes


@takes("devices")
def devices() -> None:
    """List the microphones."""
    from rich.console import Console
    from rich.table import Table

    from streamer.sources.microphone import list_devices

    table = Table("", "name", "index", "host API", "channels", "rate")
    for device in list_devices():
        table.add_row(
            "*" if device.is_default else "",
            device.stable_name,
            str(device.index),
            device.host_api,
            str(device.channels),
            f"{device.rate_hz} Hz",
        )
    if not table.row_count:
        typer.echo("No microphone found; --source demo needs none.")
        return
    Console().print(table)
    typer.echo(
        "* the default, which mic stands for. Choose another by name, as mic:NAME: its index can change."
    )
