"""Settings of a command: its command line, the environment and the settings file together."""

import os
import sys
from typing import TYPE_CHECKING, Any

from .options import options_of

if TYPE_CHECKING:
    import typer

    from streamer.settings.schema import Settings


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


def respect_offline(context: "typer.Context") -> None:
    """Keep the Hub's library offline where the settings say so, for commands that read no settings."""
    if not {"-h", "--help"} & set(sys.argv) and load(context).offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
