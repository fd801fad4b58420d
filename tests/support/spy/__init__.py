"""Spy on the name lookups and connections of a program and of the Python processes that it starts."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def spied(environment: dict[str, str], file: Path) -> dict[str, str]:
    """Return an environment in which a program writes its lookups and connections into a file."""
    return environment | {"PYTHONPATH": str(_FOLDER), "SPY_FILE": str(file)}


def contacts(file: Path) -> set[str]:
    """Return the ``HOST PORT`` of all lookups and connections; the spy must have been there."""
    started, *lines = file.read_text().splitlines()
    assert started == "started"
    return {line.split(" ", 1)[1] for line in lines if line != "started"}
