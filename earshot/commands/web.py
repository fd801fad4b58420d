"""The commands ``web password`` and ``web token``."""

import sys

import typer

from ..failures import UsageError
from ..help import Command, Group
from ..options import takes

_SHORTEST_PASSWORD = 8

app = typer.Typer(cls=Group)


@app.callback()
@takes("web")
def web() -> None:
    """Set the password of the web page, or make a token."""


@app.command(cls=Command)
@takes("password")
def password() -> None:
    """Set the password of the page for browsers.

    It is read from the terminal or from standard input. Put the line that is printed into the settings file: it contains no password.
    """
    from web.passwords import MOST_CHARACTERS, hash_password

    if sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        chosen = sys.stdin.readline(MOST_CHARACTERS + 2).rstrip("\r\n")
    if not _SHORTEST_PASSWORD <= len(chosen) <= MOST_CHARACTERS:
        raise UsageError(
            f"a password has {_SHORTEST_PASSWORD} to {MOST_CHARACTERS} characters; choose another one"
        )
    typer.echo(f'web_password = "{hash_password(chosen)}"')


@app.command(cls=Command)
@takes("token")
def token() -> None:
    """Make a token for scripts that use the HTTP interface.

    Put the second line into the settings file, and give the token to the script.
    """
    from web.passwords import new_token

    secret, stored = new_token()
    typer.echo(f"token: {secret}", err=True)
    typer.echo(f'web_token = "{stored}"')
