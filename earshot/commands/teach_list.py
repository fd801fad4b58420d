"""``earshot teach --list``: taught sounds and corrections, as a table or JSON."""

import json
from datetime import UTC
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from models.teaching.taught_sounds import TaughtHead, TaughtSound, TaughtSounds


def write_table(sounds: "TaughtSounds") -> bool:
    """Print a table of taught sounds; return False if there are none."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("sound", "examples", "taught", "model", "finds")
    for sound in sounds.read():
        for number, head in enumerate(sound.heads.values()):
            taught = sound.taught_at.astimezone().strftime("%Y-%m-%d %H:%M")
            name = f"{sound.name}, corrected" if sound.lowers else sound.name
            if sounds.examples_file(sound.name).exists():
                name = f"{name} (examples kept)"
            first = (escape(name), str(sound.examples), taught) if number == 0 else ("", "", "")
            table.add_row(*first, escape(_model_name(sound, head)), f"{round(10 * head.recall)} of 10")
    if table.row_count:
        Console().print(table)
    return bool(table.row_count)


def write_json(sounds: "TaughtSounds") -> None:
    """Print a JSON list of taught sounds."""
    described = [
        {
            "name": sound.name,
            "corrects": list(sound.lowers),
            "examples": sound.examples,
            "examples_kept": sounds.examples_file(sound.name).exists(),
            "taught_at": sound.taught_at.astimezone(UTC).isoformat(timespec="seconds"),
            "models": [
                {"model": head.model, "fingerprint": head.fingerprint, "recall": round(head.recall, 3)}
                for head in sound.heads.values()
            ],
        }
        for sound in sounds.read()
    ]
    typer.echo(json.dumps(described, ensure_ascii=False, indent=2))


def _model_name(sound: "TaughtSound", head: "TaughtHead") -> str:
    """Return the name of a head's model; with a part of its fingerprint, where others have the same name."""
    names = [other.model for other in sound.heads.values()]
    return f"{head.model} ({head.fingerprint[:6]})" if names.count(head.model) > 1 else head.model
