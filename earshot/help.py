"""The help of a command: sections by heading, one line an option, and notes on values that need more words."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from .options import ADVANCED, options_of

_FIRST = "Options"
_WIDEST_TERM = 28

_NOTES: dict[str, Sequence[tuple[str, str]]] = {
    "SOURCE": (
        ("mic", "The default microphone"),
        ("mic:NAME, mic:2", "Another one; see the command devices"),
        ("mic:NAME#CHANNEL", "One channel of a microphone"),
        ("FILE, demo", "A recording, or the one that is built in"),
        ("FILE#2, FILE#track=2", "One channel or track of a recording"),
        ("rtsp://…, http[s]://…", "A camera, or a radio station"),
        ("-", "PCM on standard input: s16le, 16 kHz, mono"),
        ("tcp://127.0.0.1:PORT", "The same from a program that connects"),
        ("unix:/PATH", "The same through a socket file"),
        ("NAME=SOURCE", "A source under a name of your choice"),
        ("NAME", "A source of earshot.toml"),
    ),
    "SOUND": (
        ("smoke alarm, dog, …", "A name that the command sounds lists"),
        ("Any label", "A class of the model"),
        ("''", "None"),
    ),
    "MODEL": (
        ("tiny, base, …", "A name that the command models lists"),
        ("PATH", "A model that you trained or downloaded"),
        ("hub:OWNER/REPO", "Any AST or CED on the Hugging Face Hub"),
        ("ensemble:A+B", "The average of several models"),
    ),
    "URL": (
        ("mqtt://HOST", "Also mqtt://USER@HOST:PORT"),
        ("mqtts://HOST", "The same with TLS"),
        ("embedded", "A broker that Earshot runs for you"),
        ("Password", "Set EARSHOT_MQTT_PASSWORD"),
    ),
    "PATH": (
        ("FOLDER", "With a sub-folder of recordings per class"),
        ("FILE.csv", "Columns path,label and perhaps fold"),
        ("", "Several labels are separated by |"),
        ("", "The file meta/esc50.csv of ESC-50 works too"),
    ),
    "INIT": (
        ("MODEL", "A name that the command models lists, or a path"),
        ("imagenet[:SIZE]", "tiny, small, base or base384"),
        ("imagenet:FILE", "Weights of an ImageNet network"),
    ),
    "RECIPE": (
        ("default", "For your recordings"),
        ("esc50", "ESC-50"),
        ("audioset-balanced", "The balanced part of AudioSet"),
        ("audioset", "All of AudioSet"),
        ("speech-commands", "Speech Commands"),
    ),
}
"""Values that need more than a line, by their metavar."""


class Command(TyperCommand):
    """A command whose help has sections."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections."""
        _write(formatter, _option_sections(self, ctx) | _notes(ctx))


class Group(TyperGroup):
    """A group of commands whose help has sections, the commands first."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections."""
        _write(formatter, _command_sections(self) | _option_sections(self, ctx) | _notes(ctx))


def _command_sections(group: TyperGroup) -> dict[str, list[tuple[str, str]]]:
    """Return the commands by heading; groups that are commands too come first."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for name, command in group.commands.items():
        rows = sections.setdefault(getattr(command, "rich_help_panel", None) or "Commands", [])
        row = (name, (command.help or "").strip().splitlines()[0].rstrip("."))
        rows.insert(0 if getattr(command, "invoke_without_command", False) else len(rows), row)
    return sections


def _option_sections(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], _FIRST: [], ADVANCED: []}
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            more = "..." if parameter.nargs != 1 else ""
            sections["Arguments"].append((f"{parameter.metavar}{more}", parameter.help))
            continue
        flags = " / ".join((*parameter.opts, *parameter.secondary_opts))
        words = "Show this help" if parameter.name == "help" else parameter.help
        required = "  [required]" if parameter.required else ""
        row = (f"{flags} {parameter.metavar or ''}".rstrip(), f"{words}{required}")
        sections[getattr(parameter, "rich_help_panel", None) or _FIRST].append(row)
    return {heading: rows for heading, rows in sections.items() if rows}


def _notes(context: Any) -> dict[str, list[tuple[str, str]]]:
    name = "live" if context.parent is None else context.info_name
    metavars = dict.fromkeys(option.metavar for option in options_of(name))
    return {metavar: list(_NOTES[metavar]) for metavar in metavars if metavar in _NOTES}


def _write(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    widest = max(len(term) for rows in sections.values() for term, _ in rows)
    for heading, rows in sections.items():
        with formatter.section(heading):
            formatter.write_dl([(f"{term:<{min(widest, _WIDEST_TERM)}}", words) for term, words in rows])
