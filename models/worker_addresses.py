"""Addresses of workers, told apart from names of models."""

from urllib.parse import urlsplit

from .errors import WorkersError

_SCHEMES = ("http://", "https://")


def is_address(model: str) -> bool:
    """Return True for the address of workers, instead of the name of a model."""
    return model.lower().startswith(_SCHEMES)


def base_url(address: str) -> str:
    """Return the address of workers without a slash at its end.

    Raises
    ------
    WorkersError
        It is not a plain address.
    """
    stripped = address.strip()
    try:
        parts = urlsplit(stripped)
        is_plain = bool(parts.hostname) and not (parts.query or parts.fragment) and parts.port != 0
    except ValueError:
        is_plain = False
    if "@" in stripped:
        raise WorkersError(
            "an address of workers holds no user and password: put the workers' token into EARSHOT_MODEL_TOKEN"
        )
    if not is_plain or any(character.isspace() for character in stripped):
        raise WorkersError(f"'{address}' is not an address of workers: write it as http://HOST:8000")
    return stripped.rstrip("/")
