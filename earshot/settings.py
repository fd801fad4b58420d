"""Settings of a command: its command line, the environment and the settings file together."""

import logging
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .failures import UsageError
from .options import options_of

if TYPE_CHECKING:
    import typer

    from streamer.settings.schema import Settings

_log = logging.getLogger(__name__)


def load(context: "typer.Context", **more: Any) -> "Settings":
    """Return the validated settings of a command.

    Parameters
    ----------
    context : typer.Context
        The command and its options.
    more : Any
        Settings that the command derives from its options.

    Raises
    ------
    SettingsError
        One of them is unknown, malformed or out of range.
    """
    from streamer.settings.loading import load_settings

    return load_settings(given(context) | more, config=context.params["config"])


def given(context: "typer.Context") -> dict[str, Any]:
    """Return the settings that are on the command line."""
    command = "live" if context.parent is None else context.info_name or ""
    values = {option.name: context.params[option.name] for option in options_of(command) if option.setting}
    return {name: value for name, value in values.items() if value not in (None, ())}


def hand_down(context: "typer.Context", *, instead: Collection[str] = ()) -> None:
    """Give the options before a command to the command, as if they stood behind it.

    Parameters
    ----------
    context : typer.Context
        The program, with its options and the name of the command.
    instead : collection of str
        Names of options that the program itself respects for this command.

    Raises
    ------
    UsageError
        The command does not have one of them.
    """
    command = context.invoked_subcommand or ""
    before = [
        option
        for option in options_of("live")
        if (source := context.get_parameter_source(option.name)) and source.name == "COMMANDLINE"
    ]
    taken = [option for option in before if option in options_of(command)]
    for option in before:
        if option in taken or option.name in instead:
            continue
        if option.declared in {own.declared for own in options_of(command)}:
            raise UsageError(f"{option.declared} stands before '{command}': write it after the command")
        raise UsageError(f"'{command}' has no option {option.declared}: leave it out")
    context.default_map = {command: {option.name: context.params[option.name] for option in taken}}


def respect_offline(context: "typer.Context") -> None:
    """Keep the Hub's library offline where the settings say so, for commands that read no settings."""
    if not {"-h", "--help"} & set(sys.argv) and load(context).offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def warn_if_overruled(name: str, config: Path | None) -> None:
    """Warn if the environment wins over a setting of the settings file."""
    from streamer.settings.loading import where_set
    from streamer.settings.sentences import ENVIRONMENT, ENVIRONMENT_PREFIX

    if any(place.name == ENVIRONMENT and name in place.settings for place in where_set({}, config=config)):
        _log.warning("%s%s is set and wins over the file: unset it", ENVIRONMENT_PREFIX, name.upper())
