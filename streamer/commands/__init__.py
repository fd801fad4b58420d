"""The stream's own commands, which the program mounts. Heavy libraries are imported where they are needed."""

import typer

from .listing import devices, events, replay, sounds


def add_commands(app: typer.Typer) -> None:
    """Mount ``devices``, ``sounds``, ``events`` and ``replay``."""
    for command in (devices, sounds, events, replay):
        app.command()(command)
