"""Repositories of the Hugging Face Hub, in its default cache, which other programs share.

`huggingface_hub` sends the requests, authenticates and manages the cache; it honours HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE and HF_TOKEN.
"""

from pathlib import Path

from huggingface_hub import is_offline_mode

from ..catalogue import MODEL_TYPES
from ..errors import HubError
from .api import answers, describe
from .cache import local
from .download import Download
from .error_messages import translate_errors
from .progress import observed

__all__ = ["answers", "fetch", "is_offline_mode", "local", "observed"]


def fetch(
    repository: str,
    *,
    revision: str | None = None,
    networks: tuple[str, ...] = MODEL_TYPES,
    offline: bool = False,
) -> Path:
    """Find a repository's files in the cache, or fetch them, with a progress bar.

    A repository in the cache is not requested again.

    Parameters
    ----------
    repository : str
        OWNER/REPO.
    revision : str, optional
        Branch, tag or commit; by default the main branch.
    networks : tuple of str
        Accepted models, as named in a config: transformers' `model_type` or timm's `architecture`.
    offline : bool
        True to open no connection.

    Returns
    -------
    Path
        Folder with ``config.json``, ``model.safetensors`` or ``pytorch_model.bin``, and ``preprocessor_config.json`` if there is one.

    Raises
    ------
    HubError
        The files are not in the cache and can't be fetched.
    """
    if folder := local(repository, revision=revision):
        return folder
    if offline or is_offline_mode():
        raise HubError(
            f"'{repository}' is not on this machine, or incomplete, and offline mode prevents the download: start once "
            "without --offline and HF_HUB_OFFLINE, or use the model tiny"
        )
    with translate_errors(repository, revision):
        info = describe(repository, revision)
        return Download(repository, revision, networks, info).run()
