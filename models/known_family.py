"""Family of a model, read without its weights, so that what only one family can do is refused at once."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .catalogue import MODEL_TYPES, published, repository_of, require_single
from .errors import CheckpointError
from .known_labels import read_config, read_header

AST = "ast"
_FAMILIES = dict(zip(MODEL_TYPES, (AST, "ced"), strict=True))


def require_ast_before_loading(model: str, task: str, *, offline: bool = False) -> None:
    """Refuse a model that is not a single AST, before its weights are fetched or read; an unknown one is refused when it is loaded.

    Parameters
    ----------
    model : str
        Name or path, as for `load_tagger`.
    task : str
        Task in words, such as "fine-tuned".
    offline : bool
        True to open no connection.

    Raises
    ------
    CheckpointError
        It is an ensemble or of another family, or its description can't be fetched (`HubError`).
    """
    require_single(model)
    if known_family(model) not in {None, AST}:
        raise only_an_ast(Path(model).name if Path(model).exists() else model, task)
    if (named := repository_of(model)) and not offline:
        from . import hub

        repository, revision = named
        if not hub.is_offline_mode():
            hub.fetch(repository, revision=revision, networks=MODEL_TYPES[:1])


def known_family(model: str) -> str | None:
    """Return the family of a model on this machine, or of a published one; None if only loading it tells."""
    if entry := published(model):
        return entry.family
    with suppress(OSError, ValueError, RuntimeError):  # RecursionError is a RuntimeError
        if named := repository_of(model):
            from . import hub

            repository, revision = named
            folder = hub.local(repository, revision=revision)
            return _family_of(read_config(folder)) if folder else None
        path = Path(model).expanduser()
        if path.is_dir():
            return _family_of(read_config(path))
        if path.is_file():
            return _family_of_file(path)
    return None


def _family_of(config: Mapping[str, Any]) -> str | None:
    return _FAMILIES.get(str(config.get("model_type")))


def _family_of_file(path: Path) -> str | None:
    """Return the family of one of Earshot's own files, or of weights beside their config."""
    with suppress(ValueError):
        family = read_header(path).get("family", AST)  # files of older versions name none
        return family if family in _FAMILIES.values() else None
    return _family_of(read_config(path.parent))


def only_an_ast(name: str, task: str) -> CheckpointError:
    """Return the error for a model of another family.

    Parameters
    ----------
    name, task : str
        Name of the model, and the task in words, such as "fine-tuned".
    """
    return CheckpointError(
        f"'{name}' can't be {task}, because it is not an AST: choose one, such as tiny or base"
    )
