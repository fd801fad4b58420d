"""Error messages for failures of the Hub."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RevisionNotFoundError

from ..errors import HubError


@contextmanager
def translate_errors(repository: str, revision: str | None) -> Iterator[None]:
    """Translate exceptions of the libraries to HubError."""
    try:
        yield
    except HfHubHTTPError as error:
        raise HubError(_refusal(error, repository, revision)) from error
    except EntryNotFoundError as error:  # the connection broke between two files
        raise HubError(_unreachable(error.__cause__ or error)) from error
    except (httpx2.HTTPError, TimeoutError) as error:
        raise HubError(_unreachable(error)) from error
    except (httpx2.InvalidURL, ValueError) as error:
        raise HubError(
            f"the server at {constants.ENDPOINT} does not answer like the Hub ({_first_line(error)}): check HF_ENDPOINT, the "
            "proxy, and whether your network requires a login"
        ) from error
    except OSError as error:
        raise HubError(_disk_trouble(error)) from error


def _refusal(error: HfHubHTTPError, repository: str, revision: str | None) -> str:
    """Return the message for a status of the Hub."""
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        sentence = f"'{repository}' is gated: request access on its page, and set HF_TOKEN to your token"
    elif isinstance(error, RevisionNotFoundError):
        sentence = f"'{repository}' has no revision '{revision}': give one of its branches, tags or commits"
    elif status in {401, 403, 404}:
        sentence = f"there is no repository '{repository}' on the Hub, or it is private: check the name, and set HF_TOKEN if it is yours"
    elif status == 429:
        sentence = (
            "the Hub limits the number of requests: try again in a few minutes, or set HF_TOKEN to your token"
        )
    else:
        sentence = f"the Hub at {constants.ENDPOINT} fails (status {status}): try again later"
    return sentence


def _unreachable(error: BaseException) -> str:
    return (
        f"the Hub at {constants.ENDPOINT} can't be reached ({_first_line(error) or 'no answer in time'}): check the network and "
        "try again; the download resumes"
    )


def _disk_trouble(error: OSError) -> str:
    folder = constants.HF_HUB_CACHE
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk is full at {folder}: make room, or set HF_HOME to a folder on another disk, and try again; the download resumes"
    return f"the cache {folder} can't be written ({error.strerror or error}): set HF_HOME to a folder that you can write"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
