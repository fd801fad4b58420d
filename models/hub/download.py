"""Downloads that go on where they were cut off, and are compared with the hash that the Hub announced.

`huggingface_hub` does neither: its own downloads begin anew, and only their length is looked at. So the content of its cache is brought here,
and the library then finds it there and does the rest.
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
    hf_raise_for_status,
    try_to_load_from_cache,
)
from huggingface_hub.errors import RemoteEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from huggingface_hub.utils import WeakFileLock, build_hf_headers

from ..catalogue import CONFIG, EXTRACTOR, WEIGHTS
from ..errors import HubError
from .progress import megabytes, progress

_PROGRAM = "earshot"
_STALL_SECONDS = 10.0
"""How long a download may stand still."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository.

    Attributes
    ----------
    name : str
        In the repository.
    size : int
        In bytes.
    digest : str
        SHA-256 of a large file, git's SHA-1 of a small one, as hexadecimal digits: its name in the cache.
    """

    name: str
    size: int
    digest: str

    def fits(self, path: Path) -> bool:
        """Whether the content of a path is this file's."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if len(self.digest) == 64:
            with path.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest() == self.digest
        blob = b"blob %d\0" % self.size + path.read_bytes()
        return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == self.digest


class Download:
    """Brings a repository's files into the cache.

    Parameters
    ----------
    repository, revision : str
        As for `fetch`.
    network : str
        As for `fetch`.
    info : ModelInfo
        What the Hub says about them.
    """

    def __init__(self, repository: str, revision: str | None, network: str, info: ModelInfo) -> None:
        self._repository = repository
        self._revision = revision
        self._network = network
        self._commit = info.sha or revision
        self._files = _required_files(repository, info)
        folder = repo_folder_name(repo_id=repository, repo_type="model")
        self._blobs = Path(constants.HF_HUB_CACHE) / folder / "blobs"
        self._locks = Path(constants.HF_HUB_CACHE) / ".locks" / folder

    def run(self) -> Path:
        """Fetch what is missing: the folder in which the files are."""
        total = sum(file.size for file in self._files)
        self._require_room(total)
        _log.info("fetching %s from %s: %s", self._repository, constants.ENDPOINT, megabytes(total))
        for folder in (self._blobs, self._locks):
            folder.mkdir(parents=True, exist_ok=True)
        first, *others = self._files
        with progress(self._repository, total) as report:
            done = self._bring(first, 0, report)
            config = self._place(first.name)
            _require_network(self._repository, config, self._network)
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
                f"the disk is full: the download takes {megabytes(needed)} and there are {megabytes(free)} left at {there}: make room, "
                "or name a folder on another disk in HF_HOME"
            )

    def _bring(self, file: File, before: int, report: Callable[[int], None]) -> int:
        """Fetch a file's content unless it is there, and report on top of the bytes before it: the bytes with it."""
        pointer = try_to_load_from_cache(self._repository, file.name, revision=self._commit)
        if not isinstance(pointer, str) or not file.fits(Path(pointer)):
            if isinstance(pointer, str):
                Path(pointer).unlink()
            self._fetch(file, lambda done: report(before + done))
        report(before + file.size)
        return before + file.size

    def _fetch(self, file: File, report: Callable[[int], None]) -> None:
        """Bring a file's content into the cache, whole and compared with its hash, or not at all."""
        blob, part = self._blobs / file.digest, self._part(file)
        with WeakFileLock(self._locks / f"{file.digest}.lock"):
            if file.fits(blob):
                return
            _fill(part, hf_hub_url(self._repository, file.name, revision=self._commit), file.size, report)
            if not file.fits(part):
                part.unlink()
                raise HubError(
                    f"{file.name} of '{self._repository}' arrived damaged (its hash is not the announced one) and was removed: try again"
                )
            part.replace(blob)

    def _part(self, file: File) -> Path:
        return self._blobs / f"{file.digest}.incomplete"

    def _place(self, name: str) -> Path:
        """Have the library put a file, whose content is there, where it belongs: its path."""
        return Path(hf_hub_download(self._repository, name, revision=self._revision, library_name=_PROGRAM))

    def _note_absence(self) -> None:
        """Have the library note that there is no extractor's file, so that `local` does not miss it."""
        try:
            self._place(EXTRACTOR)
        except RemoteEntryNotFoundError:
            return


def _required_files(repository: str, info: ModelInfo) -> list[File]:
    """What a tagger needs of a repository: the config first, which says what it is; the weights last: where they are, all is."""
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    weights = [name for name in WEIGHTS if name in there][:1]
    for needed, what in ((CONFIG in there, CONFIG), (weights, " or ".join(WEIGHTS))):
        if not needed:
            raise HubError(
                f"the repository '{repository}' holds no AST, since it has no {what}: name one of an ASTForAudioClassification"
            )
    return [_file(there[name]) for name in (CONFIG, EXTRACTOR, *weights) if name in there]


def _file(sibling: RepoSibling) -> File:
    """Take a file's description from the Hub; what is wrong in it must not become a path."""
    digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    if sibling.size is None or not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", digest or ""):
        raise ValueError(f"{sibling.rfilename} has no size or hash")
    return File(sibling.rfilename, sibling.size, str(digest))


def _require_network(repository: str, config: Path, network: str) -> None:
    """Refuse another network before its weights, which may be many gigabytes, are fetched."""
    try:
        content = json.loads(config.read_bytes())
    except ValueError:
        content = None
    described = content if isinstance(content, dict) else {}
    kind = described.get("model_type", described.get("architecture"))
    if kind != network:
        raise HubError(
            f"the repository '{repository}' holds a model of type '{kind}' and not of '{network}': name another one"
        )


def _fill(part: Path, url: str, size: int, report: Callable[[int], None]) -> None:
    """Fetch what is missing of a file; go on after each break that came after some headway."""
    while (before := _size(part)) < size:
        try:
            _append(part, url, report)
        except httpx2.TransportError:
            if _size(part) <= before:
                raise
        else:
            if _size(part) <= before:
                raise httpx2.ReadError(f"nothing of {url} arrives")


def _append(part: Path, url: str, report: Callable[[int], None]) -> None:
    """Fetch a file from where its part ends; from the beginning where the server can't do that."""
    headers = build_hf_headers(library_name=_PROGRAM) | {"Accept-Encoding": "identity"}
    if start := _size(part):
        headers["Range"] = f"bytes={start}-"
    with get_session().stream("GET", url, headers=headers, timeout=_STALL_SECONDS) as response:
        hf_raise_for_status(response)
        resumed = response.status_code == httpx2.codes.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as sink:
            for chunk in response.iter_bytes():
                sink.write(chunk)
                report(sink.tell())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
