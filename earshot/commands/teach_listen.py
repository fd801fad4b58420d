"""Examples from the microphone, for the command ``teach``: it asks for the sound, and asks again where it could not learn from it."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

import typer

from ..failures import UsageError

if TYPE_CHECKING:
    from models.teaching.examples import Example
    from streamer.commands.takes import Frames
    from streamer.messages import Samples
    from streamer.settings.schema import Settings

_MOST_ATTEMPTS = 3
_LOWEST_DBFS, _BAR = -70.0, 30

_log = logging.getLogger(__name__)


class _Screen(Protocol):
    def __call__(self, text: str, level_dbfs: float, /) -> None: ...


def record(chosen: "Settings", count: int, *, playback: bool = True) -> "list[tuple[str, Samples]]":
    """Ask for a sound several times, and return each occurrence with its name.

    On a terminal, each one is played back, and can be repeated.

    Parameters
    ----------
    chosen : Settings
        Settings of the program, with the source.
    count : int
        Number of occurrences.
    playback : bool
        True to play them back.

    Raises
    ------
    UsageError
        There are several sources.
    SourceError
        The source can't be read, or ends.
    TeachingError
        A sound is not heard, silent or clipped, three times in a row.
    """
    from streamer.commands.takes import Frames
    from streamer.live.assembly import open_sources

    sources = open_sources(chosen)
    if len(sources) != 1:
        raise UsageError("--listen takes one source: give one with --source")
    takes: list[tuple[str, Samples]] = []
    with closing(sources[0].chunks()) as chunks:
        frames = Frames(chunks)
        accept = Acceptance(playback=playback) if sys.stdin.isatty() else None
        while len(takes) < count:
            number = len(takes) + 1
            with _screen() as show:
                example = take_example(frames, f"take {number}", f"{number} of {count}", show)
            typer.echo(f"{number} of {count}: heard {example.seconds:.1f} s", err=True)
            began = time.monotonic()
            if accept is None or accept(example):
                takes.append((example.name, example.samples))
            frames.skip_waiting(time.monotonic() - began)
    return takes


class Acceptance:
    """Plays a take back, and asks whether it is the sound.

    Parameters
    ----------
    playback : bool
        True to play it. Without an output that works, takes are not played, and a line in the log says so once.
    """

    def __init__(self, *, playback: bool) -> None:
        self._playback = playback

    def __call__(self, example: "Example") -> bool:
        """Return False if the person wants to repeat it."""
        from streamer.sources.microphone import stop_playing

        try:
            return self._ask(example)
        finally:
            stop_playing()  # the next take begins with a quiet room

    def _ask(self, example: "Example") -> bool:
        while True:
            if self._playback:
                self._play(example)
            again = ", p: play it again" if self._playback else ""
            answer = typer.prompt(
                f"Enter: keep it, r: repeat it{again}", default="", show_default=False, err=True
            )
            match answer.strip().casefold():
                case "":
                    return True
                case "r":
                    return False

    def _play(self, example: "Example") -> None:
        from streamer.errors import DeviceError
        from streamer.sources.microphone import play

        try:
            play(example.samples)
        except DeviceError as error:
            self._playback = False
            _log.warning("takes are not played back: %s", error)


def take_example(frames: "Frames", name: str, place: str, show: _Screen) -> "Example":
    """Record a sound; ask again if it can't be learned from."""
    from models.errors import TeachingError

    for attempt in range(1, _MOST_ATTEMPTS + 1):
        try:
            return _try(frames, name, place, show)
        except TeachingError as error:
            if attempt == _MOST_ATTEMPTS:
                raise
            _log.warning("%s; once more", error)
    raise AssertionError


def _try(frames: "Frames", name: str, place: str, show: _Screen) -> "Example":
    """Count down, ask for the sound, and find it.

    Raises
    ------
    TeachingError
        It is not heard, or can't be learned from.
    """
    from models.errors import TeachingError
    from models.teaching.examples import find_example
    from streamer.commands.takes import COUNTDOWN_SECONDS, Take, background_level
    from streamer.levels import level_dbfs
    from streamer.messages import WINDOW_SAMPLES

    room = []
    for second in range(round(COUNTDOWN_SECONDS), 0, -1):
        for frame in frames.read(1.0):
            room.append(frame)
            show(f"{place}: quiet, please; {second} s", level_dbfs(frame))
    typer.echo(f"{place}: make the sound now", err=True)
    take = Take(background_level(room))
    while True:
        (frame,) = frames.read(0.05)
        show(f"{place}: now" if not take.began else f"{place}: listening", level_dbfs(frame))
        if take.write(frame):
            break
    if not take.began:
        raise TeachingError(f"{name} was not heard: check the microphone, or come closer to it")
    return find_example(name, take.samples, WINDOW_SAMPLES)


@contextmanager
def _screen() -> Iterator[_Screen]:
    """Show a line with a level on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _text, _level: None
        return
    with Live(console=console, transient=True, refresh_per_second=20) as line:

        def show(text: str, level_dbfs: float) -> None:
            filled = round(_BAR * min(1.0, max(0.0, 1 - level_dbfs / _LOWEST_DBFS)))
            line.update(f"{'█' * filled}{'·' * (_BAR - filled)} {level_dbfs:4.0f} dB  {text}")

        yield show
