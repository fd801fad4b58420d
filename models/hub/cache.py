"""Repositories that are on this machine already."""

import re
import zipfile
from functools import partial
from pathlib import Path

from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError, safe_open

from ..catalogue import CONFIG, EXTRACTOR, WEIGHTS
from ..errors import HubError

_OLD_PICKLE = b"\x80"
"""First byte of files that PyTorch wrote before 1.6, which do not contain their length."""


def local(repository: str, *, revision: str | None = None) -> Path | None:
    """Find a repository's files in the cache, without a connection.

    Parameters
    ----------
    repository, revision : str
        Name and revision, as for `fetch`.

    Returns
    -------
    Path or None
        Folder of the files; None if some are missing or the weights are incomplete.

    Raises
    ------
    HubError
        The name of the repository or of the revision is invalid.
    """
    check_names(repository, revision)
    find = partial(try_to_load_from_cache, repository, revision=revision)
    try:
        extractor = find(EXTRACTOR)
        if not isinstance(find(CONFIG), str) or not (
            isinstance(extractor, str) or extractor is _CACHED_NO_EXIST
        ):
            return None
        found = [Path(path) for path in map(find, WEIGHTS) if isinstance(path, str)]
        return next((path.parent for path in found if _looks_whole(path)), None)
    except OSError:  # an unreadable cache is an empty one
        return None


def check_names(repository: str, revision: str | None) -> None:
    """Check the names of a repository and a revision, before they become a path or an address."""
    try:
        validate_repo_id(repository)
    except HFValidationError:
        owner = ""
    else:
        owner, _, _ = repository.rpartition("/")
    if not owner:
        raise HubError(
            f"'{repository}' is not a repository of the Hub: give OWNER/REPO, such as MIT/ast-finetuned-audioset-10-10-0.4593"
        )
    if revision is not None and (not re.fullmatch(r"\w[\w./-]*", revision) or ".." in revision):
        raise HubError(f"'{revision}' is not a revision of '{repository}': give a branch, a tag or a commit")


def _looks_whole(weights: Path) -> bool:
    """Return True if a file of weights has its full length; cheap enough for every start."""
    if weights.suffix != ".safetensors":
        with weights.open("rb") as file:
            return file.read(1) == _OLD_PICKLE or zipfile.is_zipfile(file)
    try:
        with safe_open(weights, framework="np"):
            return True
    except SafetensorError:
        return False
