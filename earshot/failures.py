"""Exit codes, and the sentence that says what went wrong."""

import logging
from typing import Any, Literal, get_args, get_origin

import typer
from typer.exceptions import TyperException

from models.loading import LOCAL

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_KINDS = {int: "a whole number", float: "a number"}

_log = logging.getLogger(__name__)


class UsageError(typer.BadParameter):
    """Options that don't go together, or a value that can't be used; the message is the whole sentence."""

    def format_message(self) -> str:
        """Return the message as it is."""
        return self.message


def complain(error: BaseException, sentence: str | None = None) -> None:
    """Log an error as one sentence; with --debug, with its traceback."""
    from streamer.text import one_sentence

    words = one_sentence(sentence or str(error))
    _log.error("earshot: %s", words, exc_info=error if _log.isEnabledFor(logging.DEBUG) else None)


def explain(error: Exception) -> str:
    """Describe an error that no layer below has translated: a file problem, or a bug."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} can't be used ({error.strerror}): check its name, its folder and its permissions"
    library = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if library in LOCAL:
        return f'this needs {library}, which is not installed: run pip install -e ".[local]" in the checkout'
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of platformdirs and pathlib
        return "this user has no home folder: set HOME to a folder that the user can write"
    return f"failed unexpectedly ({type(error).__name__}: {error}); --debug shows where"


def describe_usage(error: TyperException) -> str:
    """Describe a mistake on the command line: what is wrong, and what to do."""
    if isinstance(error, UsageError):
        return error.message
    parameter = getattr(error, "param", None)
    if type(error) is not typer.BadParameter or parameter is None:
        return f"{error.format_message().rstrip('.')}; see --help"
    name = parameter.opts[0] if parameter.opts else parameter.metavar
    wanted = _wanted(parameter.type_descriptor.annotation, parameter.min, parameter.max)
    return f"{name} must be {wanted}" if wanted else f"{name}: {error.message.rstrip('.')}"


def _wanted(annotation: Any, least: float | None, most: float | None) -> str:
    """Describe the values of an option; empty if there is nothing to say."""
    if get_origin(annotation) is list:
        (annotation,) = get_args(annotation)
    if get_origin(annotation) is Literal:
        *first, last = get_args(annotation)
        return f"{', '.join(first)} or {last}"
    kind = _KINDS.get(annotation, "")
    if kind and least is not None:
        return f"{kind}, {least:g} or more" if most is None else f"{kind} from {least:g} to {most:g}"
    return kind
