"""The command line: the commands in the order of the help, and errors as one sentence and an exit code."""

import os
import signal
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from .commands.bench import bench
from .commands.calibrate import calibrate
from .commands.calibrate_model import calibrate_model
from .commands.devices import devices
from .commands.distil import distil
from .commands.doctor import doctor
from .commands.evaluate import evaluate
from .commands.events import events
from .commands.finetune import finetune
from .commands.forget import forget
from .commands.live import live
from .commands.models import app as models
from .commands.noise import noise
from .commands.replay import replay
from .commands.shrink_pack import shrink_pack
from .commands.sounds import sounds
from .commands.tag import tag
from .commands.teach import teach
from .commands.web import app as web
from .failures import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
    complain,
    describe_usage,
    explain,
)
from .help import Command, Group

_EVERYDAY = (devices, doctor, sounds, events, noise, tag, calibrate, teach, replay, forget)
_TRAINING = (finetune, evaluate, distil, shrink_pack, calibrate_model)


def add_commands(app: typer.Typer) -> None:
    """Mount all commands, everyday ones first."""
    for command in _EVERYDAY:
        app.command(cls=Command, rich_help_panel="Commands")(command)
    app.add_typer(web, name="web", rich_help_panel="Commands")
    app.add_typer(models, name="models", rich_help_panel="Models")
    app.command(cls=Command, rich_help_panel="Models")(bench)
    for command in _TRAINING:
        app.command(cls=Command, rich_help_panel="Training")(command)


app = typer.Typer(
    name="earshot", cls=Group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)
app.callback(invoke_without_command=True)(live)
add_commands(app)


def run() -> int:
    """Run the command that is on the command line; return its exit code."""
    from gui.errors import DisplayError
    from models.errors import ModelError
    from streamer.errors import OutputClosed, SettingsError, StreamerError
    from web.errors import WebError

    try:
        return _call()
    except OutputClosed:
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except TyperException as error:
        complain(error, describe_usage(error))
        return EXIT_USAGE
    except SettingsError as error:
        complain(error)
        return EXIT_USAGE
    except (StreamerError, ModelError, DisplayError, WebError) as error:
        complain(error)
    except Exception as error:  # noqa: BLE001 - a bug, which the user reads in a sentence too
        complain(error, explain(error))
    return EXIT_FAILURE


def _call() -> int:
    """Call the command.

    Raises
    ------
    KeyboardInterrupt, UsageError
        A question was left with Ctrl-C, or nobody can answer it.
    """
    try:
        return app(standalone_mode=False) or 0
    except typer.Abort as error:
        typer.echo(err=True)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise UsageError("no answer on standard input: run this in a terminal") from None


def main() -> NoReturn:
    """Run the program and exit."""
    from streamer.runtime.standard_streams import prepare
    from streamer.runtime.threads import threads_remain

    prepare()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = run()
    if threads_remain():  # all is written; the interpreter would wait for these threads
        os._exit(code)
    sys.exit(code)
