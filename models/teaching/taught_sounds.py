"""Taught sounds and their files: a JSON file of a few kB for each sound, with a head for each model that it was taught to.

A correction of a sound that the program knows already is such a file too: its heads recognise what was taken for the sound, and only lower its score.
"""

import base64
import hashlib
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NameTakenError, TeachingError
from .heads import Head
from .private_files import replacing

Halves = NDArray[np.float16]

LOWERS = "lowers"
"""Key of the classes that a correction lowers."""

_FORMAT = "earshot taught sound"
_VERSION = 1
_MOST_BYTES = 32 * 2**20
"""Largest file: a correction with a dozen models has 20 MB."""
_LONGEST_NAME = 60

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TaughtHead:
    """Head for the embeddings of one model.

    Attributes
    ----------
    fingerprint, model : str
        Fingerprint of the model's weights, and its name for people.
    head : Head
        Head for its embeddings.
    recall : float
        Share of unseen examples that were found.
    others : int
        Number of windows with other sounds behind its threshold.
    windows : tuple of float16 (windows, width)
        Embeddings of the examples, each with its windows; only in corrections, which grow.
    further : tuple of Head
        Head for each example alone; only in corrections, whose examples may be of several things.
    """

    fingerprint: str
    model: str
    head: Head
    recall: float
    others: int
    windows: tuple[Halves, ...] = ()
    further: tuple[Head, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TaughtSound:
    """Sound that a user has taught.

    Attributes
    ----------
    name : str
        Name for people, and label among those of the model.
    examples : int
        Number of examples.
    taught_at : datetime
        Time of teaching.
    heads : mapping of str to TaughtHead
        Heads by the fingerprint of their model.
    lowers : tuple of str
        Classes whose scores a correction lowers; empty for a sound of its own.
    """

    name: str
    examples: int
    taught_at: datetime
    heads: Mapping[str, TaughtHead]
    lowers: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the content of its file."""
        content: dict[str, Any] = {
            "format": _FORMAT,
            "version": _VERSION,
            "name": self.name,
            "examples": self.examples,
            "taught_at": self.taught_at.isoformat(),
            "heads": [_entry(head) for head in self.heads.values()],
        }
        if self.lowers:
            content[LOWERS] = list(self.lowers)
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "TaughtSound":
        """Read the content of a file.

        Raises
        ------
        ValueError
            It is not a taught sound.
        """
        try:
            content = json.loads(text)
            if (content["format"], content["version"]) != (_FORMAT, _VERSION):
                raise ValueError("another format")
            heads = [_head(entry) for entry in content["heads"]]
            lowers = tuple(map(str, content.get(LOWERS, ())))
            return cls(
                name=_name_of_known(content["name"]) if lowers else checked_name(content["name"]),
                examples=int(content["examples"]),
                taught_at=datetime.fromisoformat(content["taught_at"]),
                heads={head.fingerprint: head for head in heads},
                lowers=lowers,
            )
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError, TeachingError) as error:
            raise ValueError(str(error)) from error


class TaughtSounds:
    """Folder of taught sounds.

    Parameters
    ----------
    folder : Path
        Folder; it may be missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> tuple[TaughtSound, ...]:
        """Return all sounds by name.

        Raises
        ------
        TeachingError
            A file can't be read.
        """
        sounds = [read_sound(path) for path in sorted(self._folder.glob("*.json"))]
        return tuple(sorted(sounds, key=lambda sound: sound.name.casefold()))

    def readable(self) -> tuple[TaughtSound, ...]:
        """Return all sounds whose files can be read, in no order; log the others."""
        sounds = []
        for path in self._folder.glob("*.json"):
            try:
                sounds.append(read_sound(path))
            except TeachingError as error:
                _log.warning("a taught sound is missing: %s", error)
        return tuple(sounds)

    def find(self, name: str) -> TaughtSound:
        """Return a sound by its name, ignoring case.

        Raises
        ------
        TeachingError
            There is none, or its file can't be read.
        """
        if (sound := self.get(name)) is not None:
            return sound
        names = ", ".join(sound.name for sound in self.read())
        raise TeachingError(
            f"no sound called '{name}' was taught: "
            + (f"give one of {names}" if names else "list the taught sounds with `earshot teach --list`")
        )

    def get(self, name: str) -> TaughtSound | None:
        """Return a sound by its name, ignoring case; None if there is none.

        Raises
        ------
        TeachingError
            Its file can't be read.
        """
        path = self._path(name)
        return read_sound(path) if path.exists() else None

    def save(self, sound: TaughtSound) -> Path:
        """Save a sound in place of one with the same name; return its file.

        Raises
        ------
        TeachingError
            The file can't be written.
        """
        path = self._path(sound.name)
        write_sound(path, sound)
        return path

    def remove(self, name: str) -> TaughtSound:
        """Remove a sound and return it.

        Raises
        ------
        TeachingError
            There is none, or its file can't be deleted.
        """
        sound = self.find(name)
        _delete(self._path(name))
        self.forget_examples(name)
        return sound

    def forget_examples(self, name: str) -> None:
        """Delete the kept examples of a sound, if there are any.

        Raises
        ------
        TeachingError
            Their file can't be deleted.
        """
        _delete(self.examples_file(name))

    def examples_file(self, name: str) -> Path:
        """Return the file of a sound's kept examples, which is there if the user asked to keep them."""
        return self._path(name).with_suffix(".npz")

    def _path(self, name: str) -> Path:
        """Return the file of a sound: readable, and unique whatever the script of the name."""
        key = name.strip().casefold()
        readable = re.sub(r"[^a-z0-9]+", "-", key).strip("-")[:40]
        digest = hashlib.sha256(key.encode()).hexdigest()[:8]
        return self._folder / f"{f'{readable}-' if readable else ''}{digest}.json"


def _delete(file: Path) -> None:
    """Delete a file, if it is there."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise TeachingError(f"{file} can't be deleted: {error.strerror}") from error


def read_sound(path: Path) -> TaughtSound:
    """Read the file of a taught sound.

    Raises
    ------
    TeachingError
        It can't be read, or is something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)  # what is cut off is not JSON
        return TaughtSound.from_json(content.decode())
    except OSError as error:
        raise TeachingError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise TeachingError(
            f"{path} is not a taught sound of this version: delete it, or teach the sound again"
        ) from error


def write_sound(path: Path, sound: TaughtSound) -> None:
    """Write the file of a taught sound in one step, for its owner only.

    Raises
    ------
    TeachingError
        It can't be written, or is too large to be read again; what was there is unchanged.
    """
    content = sound.to_json().encode()
    if len(content) > _MOST_BYTES:
        raise TeachingError(
            f"'{sound.name}' was taught to too many models: remove it with `earshot teach --remove`, and teach it again"
        )
    with replacing(path) as file:
        file.write(content)


def checked_name(name: str) -> str:
    """Return a name without blanks around it.

    Raises
    ------
    TeachingError
        It can't be the name of a sound.
    """
    name = " ".join(str(name).split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or "," in name:
        raise TeachingError(
            f"a sound needs a name of 1 to {_LONGEST_NAME} printable characters without commas"
        )
    return name


def _name_of_known(name: Any) -> str:
    """Return the name of a sound that the program knows, whatever it is; a ValueError if it is none."""
    if not str(name).strip():
        raise ValueError("no name")
    return str(name)


def require_new_name(name: str, labels: Sequence[str]) -> None:
    """Check that a name differs from those that the program knows already.

    Parameters
    ----------
    name : str
        Name of a sound to teach.
    labels : sequence of str
        Names of classes and sounds.

    Raises
    ------
    NameTakenError
        It does not.
    """
    known = {label.casefold(): label for label in labels}
    if name.casefold() in known:
        raise NameTakenError(
            f"the sound '{known[name.casefold()]}' is known already: choose another name, such as 'Our {name.lower()}'"
        )


def _entry(taught: TaughtHead) -> dict[str, Any]:
    """Return a head for JSON."""
    entry = {
        "fingerprint": taught.fingerprint,
        "model": taught.model,
        **_linear(taught.head),
        "recall": round(taught.recall, 4),
        "others": taught.others,
    }
    if taught.further:
        entry["further"] = [_linear(head) for head in taught.further]
    if taught.windows:
        entry["windows"] = [
            base64.b64encode(rows.astype("<f2").tobytes()).decode() for rows in taught.windows
        ]
    return entry


def _head(entry: Mapping[str, Any]) -> TaughtHead:
    """Read a head; a ValueError, KeyError or TypeError if it is not one."""
    head, recall = _read_linear(entry), float(entry["recall"])
    if not 0 <= recall <= 1:
        raise ValueError("a share that is none")
    further = [_read_linear(each) for each in entry.get("further", ())]
    windows = [_halves(text, len(head.weights)) for text in entry.get("windows", ())]
    if {len(each.weights) for each in further} - {len(head.weights)}:
        raise ValueError("weights of several lengths")
    return TaughtHead(
        fingerprint=str(entry["fingerprint"]),
        model=str(entry["model"]),
        head=head,
        recall=recall,
        others=int(entry["others"]),
        windows=tuple(windows),
        further=tuple(further),
    )


def _linear(head: Head) -> dict[str, Any]:
    return {
        "weights": base64.b64encode(head.weights.astype("<f4").tobytes()).decode(),
        "bias": head.bias,
    }


def _read_linear(entry: Mapping[str, Any]) -> Head:
    weights = np.frombuffer(base64.b64decode(entry["weights"], validate=True), "<f4").astype(np.float32)
    bias = float(entry["bias"])
    if not (len(weights) and np.isfinite(weights).all() and math.isfinite(bias)):
        raise ValueError("weights that are not finite")
    return Head(weights, bias)


def _halves(text: str, width: int) -> Halves:
    rows = np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float16)
    if not np.isfinite(rows).all():
        raise ValueError("embeddings that are not finite")
    return rows.reshape(-1, width)
