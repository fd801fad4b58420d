"""The protocol between a node and its workers: descriptions of models, windows and scores as bytes. NumPy only.

`GET /v1/model` returns a `ModelDescription` as JSON. `POST /v1/score` takes windows and returns their scores, `POST /v1/embed` their embeddings.
`POST /v1/score?embedding=1` returns rows of scores, each followed by its embedding; workers of an earlier version return the scores only.
"""

import hmac
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError
from .sample_checks import LOUDEST

Floats = NDArray[np.float32]

MODEL_PATH = "/v1/model"
SCORE_PATH = "/v1/score"
EMBED_PATH = "/v1/embed"
WITH_EMBEDDING = "embedding"
"""Key of the query that asks for embeddings behind the scores."""
SCORE_AND_EMBED_PATH = f"{SCORE_PATH}?{WITH_EMBEDDING}=1"

FINGERPRINT = "Earshot-Fingerprint"
"""Header of an answer: fingerprint of the model that gave it."""
WORKER = "Earshot-Worker"
"""Header of an answer: machine and process that gave it."""
WINDOWS = "Earshot-Windows"
"""Header of a request: number of windows, all of one length; 1 where it is missing."""

TOKEN_VARIABLE = "EARSHOT_MODEL_TOKEN"  # noqa: S105 - a name, not a token
TOKEN_FILE_VARIABLE = "EARSHOT_MODEL_TOKEN_FILE"  # noqa: S105

MOST_DESCRIPTION_BYTES = 4 * 2**20
_LONGEST_WINDOW_SAMPLES = 163_840
_MOST_CLASSES = 100_000
_MOST_BATCH = 4096
_MOST_CHARACTERS = 1000
_LARGEST_STEP = 32_767
_FULL_SCALE = np.float32(32_768)
_MOST_TOKEN_BYTES = 4096
_SCALE_BYTES = 4
_SAMPLE_BYTES = 2


class RequestError(ModelError):
    """A request that a worker refuses.

    Parameters
    ----------
    status : int
        HTTP status of the answer.
    sentence : str
        Reason.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = int(status)


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Model of a worker.

    Attributes
    ----------
    name : str
        Name of the model.
    labels : tuple of str
        Names of the classes.
    thresholds : tuple of float or None
        Threshold of each class, if the model has some.
    window_samples : int
        Largest number of samples in a window.
    fingerprint : str
        Text that differs between models with different weights.
    largest_batch : int
        Largest number of windows in a request.
    """

    name: str
    labels: tuple[str, ...]
    thresholds: tuple[float, ...] | None
    window_samples: int
    fingerprint: str
    largest_batch: int = 1

    def to_json(self) -> bytes:
        """Return the description as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read a description; unknown keys are ignored.

        Raises
        ------
        ValueError
            It is not valid.
        """
        try:
            told = json.loads(content)
            thresholds = told["thresholds"]
            description = cls(
                name=_text(told["name"]),
                labels=tuple(map(_text, told["labels"])),
                thresholds=None if thresholds is None else tuple(map(float, thresholds)),
                window_samples=_count(told["window_samples"], _LONGEST_WINDOW_SAMPLES),
                fingerprint=_text(told["fingerprint"]),
                largest_batch=_count(told["largest_batch"], _MOST_BATCH),
            )
        except (LookupError, TypeError, RecursionError, OverflowError) as error:
            raise ValueError("no description of a model") from error
        if not 0 < len(description.labels) <= _MOST_CLASSES:
            raise ValueError("a description without classes")
        if thresholds is not None and not (
            len(thresholds) == len(description.labels)
            and np.isfinite(np.array(description.thresholds, float)).all()
        ):
            raise ValueError("a description with other thresholds than classes")
        return description


def encode_window(samples: Floats) -> bytes:
    """Return a window (n,) as bytes: a float32 scale, then n int16 samples, all little-endian.

    A sample is its int16 times the scale. Sound of 16 bits is exact. Otherwise the loudest sample becomes 32,767, so that the error is at
    most half of 1/32,767 of it.
    """
    exact = samples * _FULL_SCALE
    peak = float(np.abs(samples).max(initial=0.0))
    if peak * _FULL_SCALE <= _LARGEST_STEP and np.array_equal(exact, np.rint(exact)):
        return struct.pack("<f", 1.0 / _FULL_SCALE) + exact.astype("<i2").tobytes()
    scale = np.float32(peak / _LARGEST_STEP)
    if scale == 0.0:  # silence, or as good as that
        return bytes(_SCALE_BYTES + _SAMPLE_BYTES * len(samples))
    steps: NDArray[np.int16] = np.rint(samples / scale).clip(-_LARGEST_STEP, _LARGEST_STEP).astype("<i2")
    return struct.pack("<f", scale) + steps.tobytes()


def decode_windows(body: bytes, windows: int, longest_samples: int) -> Floats:
    """Return the windows of a request, float32 (windows, n).

    Raises
    ------
    RequestError
        The body does not consist of so many windows of one length, or they are too long or not finite.
    """
    record_bytes, rest = divmod(len(body), windows)
    samples, odd = divmod(record_bytes - _SCALE_BYTES, _SAMPLE_BYTES)
    if rest or odd or samples < 1:
        raise RequestError(
            HTTPStatus.BAD_REQUEST,
            f"a window is a float32 scale and int16 samples: {len(body)} bytes can't be {windows} of them",
        )
    if samples > longest_samples:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a window has at most {longest_samples} samples, not {samples}: cut the sound into windows",
        )
    records = np.frombuffer(body, np.uint8).reshape(windows, record_bytes)
    scales = records[:, :_SCALE_BYTES].copy().view("<f4")
    steps = records[:, _SCALE_BYTES:].copy().view("<i2")
    if not (np.isfinite(scales).all() and (np.abs(scales) * 2.0**15 <= 2 * LOUDEST).all()):
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "the scale of a window is not a number that brings samples into [-1, 1]"
        )
    decoded: Floats = steps.astype(np.float32) * scales
    return decoded.clip(-LOUDEST, LOUDEST)


def most_request_bytes(description: ModelDescription) -> int:
    """Return the length of the longest request that a worker accepts."""
    return description.largest_batch * (_SCALE_BYTES + _SAMPLE_BYTES * description.window_samples)


def number_of_windows(headers: Mapping[str, str], description: ModelDescription) -> int:
    """Return the number of windows in a request.

    Raises
    ------
    RequestError
        It is not a number, or there are too many.
    """
    text = headers.get(WINDOWS, headers.get(WINDOWS.lower(), "1"))
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST_BATCH)) and int(text) > 0):
        raise RequestError(HTTPStatus.BAD_REQUEST, f"{WINDOWS} must be a number of windows, 1 or more")
    if int(text) > description.largest_batch:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a request has at most {description.largest_batch} windows, not {text}",
        )
    return int(text)


def require_token(authorization: str | None, token: str | None) -> None:
    """Check the header ``Authorization`` of a request; no token is needed if `token` is None.

    Raises
    ------
    RequestError
        It lacks the token, or has another one.
    """
    given = (authorization or "").encode("latin-1", "replace")
    if token is not None and not hmac.compare_digest(given, f"Bearer {token}".encode()):
        raise RequestError(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong")


def check_token(token: str) -> str:
    """Return a token without the blanks around it.

    Raises
    ------
    ModelError
        It can't be sent in a header.
    """
    stripped = token.strip()
    if not (stripped.isascii() and stripped.isprintable() and stripped and " " not in stripped):
        raise ModelError(
            "the token for the workers is empty or has blanks or special characters: write one line of letters and digits"
        )
    return stripped


def token_of(environment: Mapping[str, str]) -> str | None:
    """Return the token that ``EARSHOT_MODEL_TOKEN`` holds, or the file that ``EARSHOT_MODEL_TOKEN_FILE`` names; None without them.

    Raises
    ------
    ModelError
        The file can't be read, or the token can't be sent.
    """
    if (token := environment.get(TOKEN_VARIABLE, "")).strip():
        return check_token(token)
    file = environment.get(TOKEN_FILE_VARIABLE, "").strip()
    return read_token(Path(file)) if file else None


def read_token(file: Path) -> str:
    """Return the token that a file holds.

    Raises
    ------
    ModelError
        The file can't be read, or the token can't be sent.
    """
    try:
        with file.expanduser().open("rb") as opened:
            return check_token(opened.read(_MOST_TOKEN_BYTES).decode())
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"the token file {file} can't be read ({reason}): check its name and permissions"
        ) from None


def encode_scores(scores: Floats) -> bytes:
    """Return scores (windows, classes), embeddings (windows, width), or both in one row, as little-endian float32."""
    return scores.astype("<f4").tobytes()


def decode_row(content: bytes) -> Floats:
    """Return the scores (classes,), the embedding (width,) or both, of one window.

    Raises
    ------
    ValueError
        They are no finite numbers.
    """
    row: Floats = np.frombuffer(content, "<f4").astype(np.float32)
    if not np.isfinite(row).all():
        raise ValueError("scores that are not finite")
    return row


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > _MOST_CHARACTERS:
        raise ValueError("a name that is no text")
    return value


def _count(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
        raise ValueError("a count that is out of range")
    return value
