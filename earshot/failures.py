"""Exit codes, and the sentence that says what went wrong."""

import logging

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_log = logging.getLogger(__name__)


def complain(error: BaseException, sentence: str | None = None) -> None:
    """Log an error as one sentence; with --debug, with its traceback."""
    from streamer.text import one_sentence

    words = one_sentence(sentence or str(error))
    _log.error("earshot: %s", words, exc_info=error if _log.isEnabledFor(logging.DEBUG) else None)


def explain(error: Exception) -> str:
    """Describe an error that no layer below has translated: a file problem, or a bug."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} can't be used ({error.strerror}): check its name, its folder and its permissions"
    return f"failed unexpectedly ({type(error).__name__}: {error}); --debug shows where"
