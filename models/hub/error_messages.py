"""What can go wrong with the Hub, in sentences that say what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RevisionNotFoundError

from ..errors import HubError


@contextmanager
def translate_errors(repository: str, revision: str | None) -> Iterator[None]:
    """Turn what the libraries raise into HubErrors."""
    try:
        yield
    except HfHubHTTPError as error:
        raise HubError(_refusal(error, repository, revision)) from error
    except EntryNotFoundError as error:  # the library lost the Hub between two files
        raise HubError(_unreachable(error.__cause__ or error)) from error
    except (httpx2.HTTPError, TimeoutError) as error:
        raise HubError(_unreachable(error)) from error
    except (httpx2.InvalidURL, ValueError) as error:
        raise HubError(
            f"what answers at {constants.ENDPOINT} does not speak like the Hub ({_first_line(error)}): check HF_ENDPOINT and the "
            "proxy, and whether this network wants you to sign in"
        ) from error
    except OSError as error:
        raise HubError(_disk_trouble(error)) from error


def _refusal(error: HfHubHTTPError, repository: str, revision: str | None) -> str:
    """Say what the Hub's answer means."""
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        sentence = (
            f"'{repository}' is gated: ask for access on its page, and put a token of yours into HF_TOKEN"
        )
    elif isinstance(error, RevisionNotFoundError):
        sentence = (
            f"'{repository}' has no revision '{revision}': name a branch, a tag or a commit that it has"
        )
    elif status in {401, 403, 404}:
        sentence = f"there is no repository '{repository}' on the Hub, or it is private: check the name, and HF_TOKEN if it is yours"
    elif status == 429:
        sentence = "the Hub refuses more requests from here for now: try again in some minutes, or put a token of yours into HF_TOKEN"
    else:
        sentence = f"the Hub at {constants.ENDPOINT} fails (status {status}): try again later"
    return sentence


def _unreachable(error: BaseException) -> str:
    return (
        f"the Hub at {constants.ENDPOINT} can't be reached ({_first_line(error) or 'it does not answer in time'}): check the network and "
        "try again, which goes on where it stopped"
    )


def _disk_trouble(error: OSError) -> str:
    folder = constants.HF_HUB_CACHE
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk is full at {folder}: make room, or name a folder on another disk in HF_HOME, and try again, which goes on where it stopped"
    return (
        f"the cache {folder} can't be written ({error.strerror or error}): name a folder of yours in HF_HOME"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
