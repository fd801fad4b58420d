"""Promises for every input: it is accepted, or refused in one sentence that says what to do; in bounded time and memory."""

import os
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from models.errors import ModelError
from streamer.errors import StreamerError

TIMES = int(os.environ.get("FUZZ", "1"))
"""Factor on the number of examples of `make test`. `make fuzz` sets it, and tries new examples each time."""

MOST_CHARACTERS = 1000
MEBIBYTE = 2**20

_FOLDER = tempfile.TemporaryDirectory(prefix="earshot-fuzz-")
_numbers = count()

T = TypeVar("T")


def examples(number: int) -> settings:
    """Return the settings of hypothesis: always the same examples, unless `FUZZ` asks for more."""
    return settings(
        max_examples=number * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def kept(do: Callable[[], T]) -> T | None:
    """Return what comes of it; None if it was refused in one sentence."""
    try:
        return do()
    except (StreamerError, ModelError) as error:
        assert_one_sentence(str(error))
        return None


def assert_one_sentence(text: str) -> None:
    """See that a text is one line of a length that people read, and can't rewrite their terminal."""
    assert 10 < len(text) <= MOST_CHARACTERS, text[: 2 * MOST_CHARACTERS]
    assert text.isprintable(), repr(text)


@contextmanager
def within(*, mebibytes: int = 256, seconds: float = 10.0) -> Iterator[None]:
    """Let what happens in the block have so much more memory and so much time of the processor, and no more."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"it takes more than {seconds:g} s of the processor")

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    handler = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + mebibytes * MEBIBYTE, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


@contextmanager
def a_file(content: bytes, suffix: str = "") -> Iterator[Path]:
    """Write a file, for as long as the block lasts."""
    path = Path(_FOLDER.name) / f"{next(_numbers)}{suffix}"
    path.write_bytes(content)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def a_folder() -> Iterator[Path]:
    """Make a folder, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(dir=_FOLDER.name) as folder:
        yield Path(folder)


@st.composite
def mutated(draw: st.DrawFn, *originals: bytes) -> bytes:
    """Change some bytes of something that is whole, mostly of its beginning, and perhaps cut it off."""
    content = bytearray(draw(st.sampled_from(originals)))
    near = st.integers(0, min(len(content), 256) - 1)
    anywhere = st.integers(0, len(content) - 1)
    for _ in range(draw(st.integers(0, 8))):
        place = draw(st.one_of(near, anywhere))
        patch = draw(st.one_of(st.binary(min_size=1, max_size=8), _EXTREMES))
        content[place : place + len(patch)] = patch
    end = draw(st.one_of(st.just(len(content)), anywhere))
    return bytes(content[:end])


_EXTREMES = st.sampled_from(
    [b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8, b"\x7f" + b"\xff" * 7]
)

numbers = st.one_of(
    st.integers(-3, 20),
    st.sampled_from([2**31, 2**53, 10**9, 10**18, 10**400, -(10**18)]),
    st.floats(),
    st.sampled_from([1e308, 1e-320, float("inf"), float("nan"), 0.5, 16_000.0]),
)

words = st.one_of(
    st.text(max_size=40), st.sampled_from(["", " ", "x" * 5000, "~nobody-of-that-name/x", "\0", "a\nb"])
)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
    max_leaves=10,
)
