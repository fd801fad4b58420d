"""The command ``devices``."""

import json
from typing import TYPE_CHECKING

import typer

from ..options import takes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.sources.devices import InputDevice


@takes("devices")
def devices(*, as_json: bool) -> None:
    """List the microphones."""
    from streamer.sources.microphone import list_devices

    found = list_devices()
    if as_json:
        typer.echo(json.dumps([_describe(device) for device in found], ensure_ascii=False, indent=2))
    elif found:
        _print_table(found)
    else:
        typer.echo("No microphone found; --source demo needs none.")


def _describe(device: "InputDevice") -> dict[str, object]:
    return {
        "source": f"mic:{device.stable_name}",
        "name": device.stable_name,
        "index": device.index,
        "host_api": device.host_api,
        "channels": device.channels,
        "rate_hz": device.rate_hz,
        "default": device.is_default,
    }


def _print_table(found: "Sequence[InputDevice]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "name", "index", "host API", "channels", "rate")
    for device in found:
        table.add_row(
            "*" if device.is_default else "",
            device.stable_name,
            str(device.index),
            device.host_api,
            str(device.channels),
            f"{device.rate_hz} Hz",
        )
    Console().print(table)
    typer.echo(
        "* the default, which mic stands for. Choose another by name, as mic:NAME: its index can change."
    )
