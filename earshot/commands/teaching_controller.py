"""Teaching in the window: examples from the last minutes, and lessons on a thread of their own."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from ..failures import UsageError
from ..window import with_action_errors

if TYPE_CHECKING:
    from gui.actions import Examples, Lesson, TeachActions
    from models.teaching.examples import Example
    from models.teaching.kept_examples import KeptExamples
    from models.teaching.taught_sounds import TaughtSounds
    from streamer.events.watchlist import WatchLists
    from streamer.live.changes import LiveSettings
    from streamer.runtime.threads import ThreadGroup
    from streamer.stream.sound_memory import SoundMemory

Report: TypeAlias = Callable[[str, float, float], None]

_log = logging.getLogger(__name__)

NEEDED = 5
"""Examples after which a sound is learned by itself."""


class _StoppedError(Exception):
    """The program ends."""


class TeachingController:
    """Examples that were selected in the window, and what is learned from them. Its methods are called from the main thread.

    Examples are in memory until the program ends; only what is learned is saved.

    Parameters
    ----------
    settings : LiveSettings
        Settings in force.
    watchlists : WatchLists
        Watched sounds, to which a new one is added.
    memory : SoundMemory
        The last minutes of all sources.
    threads : ThreadGroup
        Group of the threads that learn.
    """

    def __init__(
        self,
        settings: "LiveSettings",
        watchlists: "WatchLists",
        memory: "SoundMemory",
        threads: "ThreadGroup",
    ) -> None:
        self._settings, self._watchlists, self._memory, self._threads = settings, watchlists, memory, threads
        self._examples: dict[str, list[Example]] = {}
        self._lesson: Lesson | None = None
        self._stopped = threading.Event()
        self._to_watch: tuple[str, str] | None = None
        self._source = ""

    def names(self) -> Sequence[str]:
        """Return the names of the sounds that are taught, or have examples."""
        from streamer.events.own_sounds import own_sound_names

        return sorted({*own_sound_names(), *self._examples}, key=str.casefold)

    def play(self, source: str, start_sample: int, end_sample: int) -> None:
        """Play a stretch of a source.

        Raises
        ------
        SourceError
            It is not kept any more, or there is no output.
        """
        from streamer.sources.microphone import play

        play(self._memory.cut(source, start_sample, end_sample))

    def add(self, source: str, start_sample: int, end_sample: int, name: str) -> "Examples":
        """Make a stretch of a source an example of a sound; with the fifth, begin to learn it.

        Raises
        ------
        SourceError, TeachingError
            The sound is not kept any more, can't be an example, or can't have this name.
        """
        from models.teaching.examples import find_example, require_different
        from models.teaching.taught_sounds import checked_name
        from streamer.messages import WINDOW_SAMPLES

        from .teach_lesson import require_libraries, require_unknown

        require_libraries()
        self._require_free()
        name = checked_name(name)
        require_unknown(name, self._settings.current.model)
        name = next((known for known in self.names() if known.casefold() == name.casefold()), name)
        before = self._examples.get(name) or list(_kept(name).examples)
        samples = self._memory.cut(source, start_sample, end_sample)
        example = find_example(_next_name(before), samples, WINDOW_SAMPLES)
        require_different([*before, example])
        self._examples[name] = [*before, example]
        self._source = source
        if len(before) + 1 >= NEEDED:
            self.learn(name)
        return self.examples(name)

    def examples(self, name: str) -> "Examples":
        """Return how many examples a sound has."""
        from gui.actions import Examples
        from models.teaching.examples import FEWEST

        return Examples(name, len(self._examples.get(name, ())), FEWEST, NEEDED)

    def learn(self, name: str) -> None:
        """Begin to learn a sound from its examples.

        Raises
        ------
        TeachingError
            Another one is being learned, or there are too few examples.
        """
        from gui.actions import Lesson
        from models.errors import ExampleError, NameTakenError, TeachingError
        from models.teaching.examples import require_enough

        from .teach_lesson import learn_sound, verdict
        from .teach_material import Material

        self._require_free()
        examples = tuple(self._examples.get(name, ()))
        require_enough(examples)
        heard = [(example.name, example.samples) for example in examples]
        chosen, sounds = self._settings.current, _sounds()
        keep = sounds.examples_file(name).exists()
        material = Material(heard, _kept(name).others, keep=keep)

        def work(report: Report) -> Sequence[str]:
            try:
                return verdict(learn_sound(chosen, sounds, name, material, report))
            except ExampleError as error:
                self._examples[name] = [one for one in examples if one.name != error.example]
                raise TeachingError(f"{error}. It is left out: select another one") from None
            except NameTakenError:
                del self._examples[name]
                raise

        self._to_watch = (self._source, name)
        self._begin(Lesson(name), work)

    def correct(self, identifier: str) -> None:
        """Begin to learn that an event was wrong.

        Raises
        ------
        UsageError, StreamerError, TeachingError
            It is not in the history, or something else is being learned.
        """
        from gui.actions import Lesson

        from .teach_correction import learn_corrections
        from .teach_lesson import require_libraries
        from .teach_material import find_events

        require_libraries()
        self._require_free()
        chosen, sounds = self._settings.current, _sounds()
        events = find_events(chosen, [identifier])
        work = partial(learn_corrections, chosen, sounds, events)
        self._begin(Lesson(events[0].label, is_correction=True), work)

    def lesson(self) -> "Lesson | None":
        """Return the present lesson, or the last one; None before the first. Called often."""
        if self._to_watch is not None and self._lesson is not None and self._lesson.is_over:
            source, name = self._to_watch
            watchlist = self._watchlists.of(source)
            if self._lesson.failed or name in {entry.sound.name for entry in watchlist.sounds}:
                self._to_watch = None
            elif name in watchlist.labels:  # once the taggers have it
                watchlist.watch(name)
        return self._lesson

    def actions(self) -> "TeachActions":
        """Return the functions of the window."""
        from gui.actions import TeachActions

        return TeachActions(
            names=self.names,
            play=with_action_errors(self.play),
            add=with_action_errors(self.add),
            learn=with_action_errors(self.learn),
            correct=with_action_errors(self.correct),
            lesson=self.lesson,
            remembers=lambda: self.remembers,
            remember=self.remember,
        )

    @property
    def remembers(self) -> bool:
        """True if ten minutes of sound are kept in memory."""
        return self._memory.is_long

    def remember(self, on: bool) -> None:
        """Keep ten minutes of sound in memory, or only what is on screen."""
        self._memory.is_long = on

    def _begin(self, lesson: "Lesson", work: Callable[[Report], Sequence[str]]) -> None:
        self._lesson = lesson

        def report(part: str, done: float, of: float) -> None:
            if self._stopped.is_set():
                raise _StoppedError
            self._lesson = replace(lesson, part=part, share=done / of if of else 0.0)

        def run() -> None:
            self._lesson = _outcome(lesson, partial(work, report))

        self._threads.start("lesson", run, self._stopped.set)

    def _require_free(self) -> None:
        from models.errors import TeachingError

        if self._lesson is not None and not self._lesson.is_over:
            raise TeachingError(f"'{self._lesson.name}' is being learned: wait until it is ready")


def _sounds() -> "TaughtSounds":
    from models.teaching.taught_sounds import TaughtSounds
    from streamer.events.own_sounds import own_sounds_folder

    return TaughtSounds(own_sounds_folder())


def _kept(name: str) -> "KeptExamples":
    """Return the examples of a sound that were kept on the disk."""
    from models.teaching.kept_examples import KeptExamples, read_examples

    return read_examples(_sounds().examples_file(name)) or KeptExamples((), ())


def _next_name(before: "Sequence[Example]") -> str:
    """Return a name that no example has: one before it may have been left out."""
    taken = {example.name for example in before}
    return next(name for number in count(len(before) + 1) if (name := f"example {number}") not in taken)


def _outcome(lesson: "Lesson", work: Callable[[], Sequence[str]]) -> "Lesson":
    """Learn; return what came of it."""
    from models.errors import ModelError
    from streamer.errors import StreamerError

    over = replace(lesson, is_over=True)
    try:
        return replace(over, verdict=tuple(work()))
    except (ModelError, StreamerError) as error:
        return replace(over, failed=True, verdict=(str(error),))
    except UsageError as error:
        return replace(over, failed=True, verdict=(error.message,))
    except _StoppedError:
        return replace(over, failed=True)
    except Exception as error:  # noqa: BLE001 - the thread ends here, and listening goes on without what it learns
        _log.error("'%s' can't be learned: %s", lesson.name, error, exc_info=_log.isEnabledFor(logging.DEBUG))
        return replace(over, failed=True, verdict=(str(error) or type(error).__name__,))
