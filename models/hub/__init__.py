"""The Hugging Face Hub: repositories fetched into its usual cache, so that other programs find them too, and found there.

`huggingface_hub` asks, authenticates and keeps the cache in order; it honours HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE and HF_TOKEN.
"""

from pathlib import Path

from huggingface_hub import is_offline_mode

from ..errors import HubError
from .api import answers, describe
from .cache import local
from .download import Download
from .error_messages import translate_errors

__all__ = ["answers", "fetch", "is_offline_mode", "local"]


AST = "audio-spectrogram-transformer"
"""What the config of an `ASTForAudioClassification` says that it is."""


def fetch(repository: str, *, revision: str | None = None, network: str = AST, offline: bool = False) -> Path:
    """Find a repository's files in the cache, else fetch them, with a progress bar.

    A repository that is there is not asked for again.

    Parameters
    ----------
    repository : str
        OWNER/REPO.
    revision : str, optional
        A branch, tag or commit; by default the main branch.
    network : str
        What the repository must hold, as its config says it: transformers' `model_type` or timm's `architecture`.
    offline : bool
        Whether to open no connection.

    Returns
    -------
    Path
        A folder with ``config.json``, ``model.safetensors`` or ``pytorch_model.bin``, and ``preprocessor_config.json`` if there is one.

    Raises
    ------
    HubError
        The files are not here and can't be had; its sentence says why.
    """
    if folder := local(repository, revision=revision):
        return folder
    if offline or is_offline_mode():
        raise HubError(
            f"'{repository}' is not on this machine, or not whole, and the Hub is not asked while offline: let it be fetched once "
            "without --offline and HF_HUB_OFFLINE, or take tiny"
        )
    with translate_errors(repository, revision):
        info = describe(repository, revision)
        return Download(repository, revision, network, info).run()
