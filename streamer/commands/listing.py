"""The commands ``devices``, ``sounds``, ``events`` and ``replay``: they list what there is, and what was heard."""

import math
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..messages import Event


def devices() -> None:
    """List the microphones."""
    from rich.console import Console
    from rich.table import Table

    from ..sources.microphone import list_devices

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
        typer.echo("No microphone was found; --source demo needs none.")
        return
    Console().print(table)
    typer.echo(
        "* what mic means. For another, name it: mic:NAME; its index changes when something is plugged in or out."
    )


def events(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only what began since then: 90s, 30m, 12h, 7d, 2w ago, or 2026-03-01T18:30."
        ),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only this sound. Repeatable.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source. Repeatable.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table for spreadsheets, times in UTC.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line per sound, times in UTC.")] = False,
    history: Annotated[str | None, typer.Option(metavar="FILE", help="The history to read.")] = None,
    config: Annotated[Path | None, typer.Option(help="The settings file, earshot.toml.")] = None,
) -> None:
    """List what has been heard: which sound, where, when and for how long."""
    from ..errors import SettingsError
    from ..settings.schema import load_settings
    from ..sinks.history import occurrences

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other")
    try:
        earliest = occurrences.parse_since(since, datetime.now().astimezone()) if since else -math.inf
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    file = load_settings({"history": history}, config=config).history_file
    if file is None:
        raise SettingsError("the history is switched off: name one with --history FILE")
    found = occurrences.read_occurrences(file, since=earliest, labels=label or (), sources=source or ())
    _write_occurrences(found, as_csv, as_json)


def replay(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A log of --score-log.")],
    watch: Annotated[
        list[str] | None, typer.Option(metavar="SOUND", help="As for listening. Repeatable.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table for spreadsheets, times in UTC.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line per sound, times in UTC.")] = False,
    config: Annotated[Path | None, typer.Option(help="The settings to try, earshot.toml.")] = None,
) -> None:
    """Say what these settings would have told: events from scores that were logged with --score-log."""
    from ..events.watchlist import WatchLists
    from ..settings.schema import load_settings
    from ..sinks.score_log import reading_scores
    from .replay_log import replay as decide

    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json exclude each other")
    settings = load_settings({"watch": watch or None}, config=config)
    with reading_scores(log) as logged:
        watchlists = WatchLists(settings.watched, settings.own_watched, logged.labels, logged.thresholds)
        told = decide(logged.messages(), watchlists.shared.sounds, watchlists.own_sounds)
        _write_occurrences((event for event in told if event.kind == "ended"), as_csv, as_json)


def _write_occurrences(found: "Iterable[Event]", as_csv: bool, as_json: bool) -> None:
    """Write occurrences in the form that is wished; say so where there are none."""
    from ..sinks.history import occurrences

    write = (
        occurrences.write_csv if as_csv else occurrences.write_json if as_json else occurrences.write_table
    )
    if not write(found, sys.stdout) and write is occurrences.write_table:
        typer.echo("Nothing was heard that is watched for.", err=True)


def sounds(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array on standard output.")] = False,
) -> None:
    """List the sounds that can be watched by name, besides each label of the model."""
    import json

    from rich.console import Console
    from rich.table import Table

    from ..events.catalogue import catalogue

    if as_json:
        typer.echo(json.dumps([sound.describe() for sound in catalogue()], ensure_ascii=False, indent=2))
        return
    table = Table("", "sound", "threshold", "on after", "off after", "AudioSet classes")
    for sound in catalogue():
        table.add_row(
            "*" if sound.by_default else "",
            sound.name,
            f"{sound.threshold:g}",
            f"{sound.hits} of {sound.of} windows",
            f"{sound.minimum_off_seconds:g} s",
            "; ".join(sound.classes),
        )
    Console().print(table)
    typer.echo("* watched by default")
