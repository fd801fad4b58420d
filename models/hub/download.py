"""Downloads that resume after an interruption, and are verified with the hash that the Hub announces.

`huggingface_hub` does neither: its downloads start again, and it checks only their length. So this module fetches the content of its cache,
and the library does the rest.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import (
    constants,
    get_session,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import RemoteEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from huggingface_hub.utils import WeakFileLock

from ..catalogue import CONFIG, EXTRACTOR, MODEL_TYPES, WEIGHTS
from ..errors import HubError
from .api import request_headers, require_success
from .progress import megabytes, progress

_PROGRAM = "earshot"
_STALL_SECONDS = 10.0
"""Longest time without data in a download."""
_MOST_JSON_BYTES = 16 * 2**20
"""Most bytes of a JSON file; that of an AST takes some kilobytes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository.

    Attributes
    ----------
    name : str
        Name in the repository.
    size : int
        Size in bytes.
    digest : str
        SHA-256 of a large file, git's SHA-1 of a small one, as hexadecimal digits: its name in the cache.
    """

    name: str
    size: int
    digest: str

    def fits(self, path: Path) -> bool:
        """Return True if a path has the content of this file."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if len(self.digest) == 64:
            with path.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest() == self.digest
        blob = b"blob %d\0" % self.size + path.read_bytes()
        return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == self.digest


class Download:
    """Download of a repository's files into the cache.

    Parameters
    ----------
    repository, revision, networks
        Arguments of `fetch`.
    info : ModelInfo
        Description of the repository.
    """

    def __init__(
        self, repository: str, revision: str | None, networks: tuple[str, ...], info: ModelInfo
    ) -> None:
        self._repository = repository
        self._revision = revision
        self._networks = networks
        self._commit = info.sha or revision
        self._files = _required_files(repository, info)
        folder = repo_folder_name(repo_id=repository, repo_type="model")
        self._blobs = Path(constants.HF_HUB_CACHE) / folder / "blobs"
        self._locks = Path(constants.HF_HUB_CACHE) / ".locks" / folder

    def run(self) -> Path:
        """Fetch the missing files, and return their folder."""
        total = sum(file.size for file in self._files)
        self._require_room(total)
        _log.info("fetching %s from %s: %s", self._repository, constants.ENDPOINT, megabytes(total))
        for folder in (self._blobs, self._locks):
            folder.mkdir(parents=True, exist_ok=True)
        first, *others = self._files
        with progress(self._repository, total) as report:
            done = self._bring(first, 0, report)
            config = self._place(first.name)
            _require_network(self._repository, config, self._networks)
            if all(file.name != EXTRACTOR for file in others):
                self._note_absence()
            for file in others:
                done = self._bring(file, done, report)
                self._place(file.name)
        return config.parent

    def _require_room(self, total: int) -> None:
        there = next(folder for folder in self._blobs.parents if folder.exists())
        needed = total - sum(
            max(_size(self._part(file)), _size(self._blobs / file.digest)) for file in self._files
        )
        free = shutil.disk_usage(there).free
        if free < needed:
            raise HubError(
                f"the disk is full: the download takes {megabytes(needed)}, and {megabytes(free)} are free at {there}: make room, "
                "or set HF_HOME to a folder on another disk"
            )

    def _bring(self, file: File, before: int, report: Callable[[int], None]) -> int:
        """Fetch a file's content if it is missing; report and return the number of bytes including the files before it."""
        pointer = try_to_load_from_cache(self._repository, file.name, revision=self._commit)
        if not isinstance(pointer, str) or not file.fits(Path(pointer)):
            if isinstance(pointer, str):
                Path(pointer).unlink()
            self._fetch(file, lambda done: report(before + done))
        report(before + file.size)
        return before + file.size

    def _fetch(self, file: File, report: Callable[[int], None]) -> None:
        """Fetch a file's content into the cache, and verify its hash."""
        blob, part = self._blobs / file.digest, self._part(file)
        with WeakFileLock(self._locks / f"{file.digest}.lock"):
            if file.fits(blob):
                return
            try:
                _fill(part, hf_hub_url(self._repository, file.name, revision=self._commit), file.size, report)
            except _TooLongError:
                part.unlink()
                raise HubError(
                    f"{file.name} of '{self._repository}' is longer than the {file.size} bytes that the Hub announces, and was removed: "
                    "try again, or check HF_ENDPOINT"
                ) from None
            if not file.fits(part):
                part.unlink()
                raise HubError(
                    f"{file.name} of '{self._repository}' arrived damaged (wrong hash) and was removed: try again"
                )
            part.replace(blob)

    def _part(self, file: File) -> Path:
        return self._blobs / f"{file.digest}.incomplete"

    def _place(self, name: str) -> Path:
        """Make the library link a file whose content is in the cache, and return its path."""
        return Path(hf_hub_download(self._repository, name, revision=self._revision, library_name=_PROGRAM))

    def _note_absence(self) -> None:
        """Make the library record that there is no extractor's file, so that `local` does not expect it."""
        try:
            self._place(EXTRACTOR)
        except RemoteEntryNotFoundError:
            return


def _required_files(repository: str, info: ModelInfo) -> list[File]:
    """Return the files that a tagger needs: the config first, to check the model; the weights last, to mark completion."""
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    weights = [name for name in WEIGHTS if name in there][:1]
    for found, what in ((CONFIG in there, CONFIG), (weights, " or ".join(WEIGHTS))):
        if not found:
            raise HubError(
                f"the repository '{repository}' holds no AST or CED: it has no {what}: choose one with an ASTForAudioClassification or a CED"
            )
    files = [_file(there[name]) for name in (CONFIG, EXTRACTOR, *weights) if name in there]
    for file in files:
        if file.name.endswith(".json") and file.size > _MOST_JSON_BYTES:
            raise HubError(
                f"the repository '{repository}' holds no AST or CED: its {file.name} takes {megabytes(file.size)}: choose another one"
            )
    return files


def _file(sibling: RepoSibling) -> File:
    """Convert a file's description from the Hub, and check it: the hash becomes part of a path."""
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    if sibling.size is None or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest or ""):
        raise ValueError(f"{sibling.rfilename} has no size or hash")
    return File(sibling.rfilename, sibling.size, str(digest))


def _require_network(repository: str, config: Path, networks: tuple[str, ...]) -> None:
    """Check the model in the config before the weights, which may be many gigabytes, are fetched."""
    try:
        content = json.loads(config.read_bytes())
    except (ValueError, RecursionError):
        content = None
    described = content if isinstance(content, dict) else {}
    kind = described.get("model_type", described.get("architecture"))
    if kind not in networks:
        is_foreign = described.get("auto_map") and kind not in MODEL_TYPES
        code = ", which needs code that comes with it and is never run" if is_foreign else ""
        accepted = " or ".join(f"'{network}'" for network in networks)
        raise HubError(
            f"the repository '{repository}' holds a model of type '{kind}'{code}, not {accepted}: choose another one"
        )


class _TooLongError(Exception):
    """A server sends more than the length of a file."""


def _fill(part: Path, url: str, size: int, report: Callable[[int], None]) -> None:
    """Fetch the missing part of a file; resume after each interruption as long as some data arrived."""
    while (before := _size(part)) < size:
        try:
            _append(part, url, size, report)
        except httpx2.TransportError:
            if _size(part) <= before:
                raise
        else:
            if _size(part) <= before:
                raise httpx2.ReadError(f"no data from {url}")


def _append(part: Path, url: str, size: int, report: Callable[[int], None]) -> None:
    """Fetch the rest of a file; all of it if the server does not support ranges."""
    headers = request_headers()
    if start := _size(part):
        headers["Range"] = f"bytes={start}-"
    with get_session().stream("GET", url, headers=headers, timeout=_STALL_SECONDS) as response:
        require_success(response)
        resumed = response.status_code == httpx2.codes.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as sink:
            for chunk in response.iter_bytes():
                if sink.tell() + len(chunk) > size:
                    raise _TooLongError
                sink.write(chunk)
                report(sink.tell())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
