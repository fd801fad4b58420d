"""Sentences for invalid settings: the setting, its fault and its value, without secrets."""

import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..sources import without_secrets
from .tables import SourceTable

ENVIRONMENT_PREFIX = "EARSHOT_"
ENVIRONMENT = "the environment"
COMMAND_LINE = "the command line"

_NUMBERS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_FAULTS = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "list_type": "must be a list",
    "path_type": "must be a path",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "missing": "is missing",
    "extra_forbidden": "is unknown",
}
_UNKNOWN_IN_SOURCE = (
    f"is unknown: a source has {', '.join(SourceTable.model_fields)}, and settings for all sources go above the first "
    "[[source]]"
)

_NAME_CHARACTERS = 64

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80


def error_sentence(error: ValidationError, origin: Mapping[str, str], merged: Mapping[str, Any]) -> str:
    """Describe the first fault in a sentence that never shows a secret.

    Parameters
    ----------
    error : ValidationError
        Error of the validation.
    origin : mapping of str to str
        Places by the names of settings.
    merged : mapping
        Values that were validated.
    """
    first = error.errors(include_url=False)[0]
    path = first["loc"]
    if not path:
        return first["msg"].removeprefix("Value error, ")
    setting = str(path[0])
    place = origin.get(setting, "")
    secret = setting.startswith(("mqtt", "source", "web", "notify", "model_token"))
    fault = _fault(first, setting)
    if setting == "source" and len(path) > 1:
        subject = _part_of_source(merged["source"], path, place)
        secret = not isinstance(first["input"], (int, float))  # an address may contain a password
        if first["type"] == "extra_forbidden":
            fault = _UNKNOWN_IN_SOURCE
    else:
        subject = _subject(setting, [part for part in path[1:] if isinstance(part, str)], place)
    shows_value = fault.startswith("must be ") and ", not " not in fault and not secret
    shown = f", not {_brief(first['input'])}" if shows_value else ""
    return f"{subject} {fault}{shown}"


def _fault(details: ErrorDetails, setting: str) -> str:
    """Return the predicate of the sentence."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _NUMBERS:
        words, key = _NUMBERS[kind]
        return f"must be {words} {context[key]:.12g}{_unit(str(details['loc'][-1]), setting)}"
    if kind == "literal_error":
        return f"must be {context['expected'].replace(chr(39), '')}"
    message = details["msg"].removeprefix("Value error, ")
    return _FAULTS.get(kind, message[0].lower() + message[1:])


def _unit(name: str, setting: str) -> str:
    if name in {"hop", "window", "fast_window", "duration"} or name.endswith("_seconds"):
        return " s"
    return " days" if setting.endswith("_days") else ""


def _subject(setting: str, parts: list[str], place: str) -> str:
    """Return the name of a setting as users write it in its place."""
    if place == COMMAND_LINE:
        return " in ".join([*reversed(parts), f"--{setting.replace('_', '-')}"])
    if place == ENVIRONMENT:
        return " in ".join([*reversed(parts), f"{ENVIRONMENT_PREFIX}{setting.upper()}"])
    dotted = ".".join([setting, *parts])
    return f"{dotted} in {place}" if place else dotted


def _part_of_source(sources: Any, path: tuple[int | str, ...], place: str) -> str:
    """Return the name of a setting of a source, as in "hop of the source 'kitchen' in the file …"."""
    number = int(path[1])
    entry = sources[number]
    name = entry.get("name") if isinstance(entry, Mapping) else None
    source = f"source number {number + 1}"
    if isinstance(name, str) and name.strip():
        source = f"the source '{without_secrets(name)[:_NAME_CHARACTERS]}'"
    parts = [part for part in path[3:] if isinstance(part, str)] or ["spec"]
    where = {COMMAND_LINE: "--source", ENVIRONMENT: f"{ENVIRONMENT_PREFIX}SOURCE"}.get(place, place)
    return f"{'.'.join(parts)} of {source}{f' in {where}' if where else ''}"


def _brief(value: Any) -> str:
    """Format a wrong value; a long one is shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"  # as files have it
    try:
        return _BRIEF.repr(value)
    except ValueError:  # Python formats no integer of more than 4300 digits
        return "a number with thousands of digits"
