"""The stream's own commands, which the program mounts."""

import typer


def add_commands(app: typer.Typer) -> None:
    """Mount ``devices``."""
    app.command()(devices)


def devices() -> None:
    """List the microphones."""
    from rich.console import Console
    from rich.table import Table

    from .sources.microphone import list_devices

    table = Table("", "index", "name", "host API", "channels", "rate")
    for device in list_devices():
        table.add_row(
            "*" if device.is_default else "",
            str(device.index),
            device.name,
            device.host_api,
            str(device.channels),
            f"{device.rate_hz} Hz",
        )
    if not table.row_count:
        typer.echo("No microphone was found; --source demo needs none.")
        return
    Console().print(table)
