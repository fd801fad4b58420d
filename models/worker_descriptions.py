"""Descriptions of workers' models, kept for a start before any worker answers."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from .score_protocol import MOST_DESCRIPTION_BYTES, ModelDescription


def kept_description(address: str) -> ModelDescription | None:
    """Return what the workers at an address last said of their model; None if they never did."""
    try:
        with _file(address).open("rb") as file:
            return ModelDescription.from_json(file.read(MOST_DESCRIPTION_BYTES))
    except (OSError, ValueError, RuntimeError):  # platformdirs raises RuntimeError without a home folder
        return None


def keep_description(address: str, description: ModelDescription) -> None:
    """Keep what the workers at an address say of their model, in the user's cache folder if it can be written."""
    if kept_description(address) == description:
        return
    with suppress(OSError, RuntimeError):
        file = _file(address)
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(description.to_json())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


def _file(address: str) -> Path:
    name = hashlib.sha256(address.encode()).hexdigest()[:32]
    return Path(platformdirs.user_cache_dir("earshot")) / "workers" / f"{name}.json"
