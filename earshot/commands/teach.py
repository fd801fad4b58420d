"""The command ``teach``."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import settings
from ..failures import UsageError
from ..options import takes

if TYPE_CHECKING:
    from models.teaching.taught_sounds import TaughtSound, TaughtSounds
    from streamer.settings.schema import Settings

_EXAMPLE = "earshot teach 'Our doorbell' --clips a.wav b.wav c.wav d.wav e.wav"

_log = logging.getLogger(__name__)


@takes("teach")
def teach(
    context: typer.Context,
    *,
    name: str | None,
    more: list[str] | None,
    clips: list[str] | None,
    events: list[str] | None,
    listen: bool,
    times: int,
    no_playback: bool,
    others: list[str] | None,
    keep: bool,
    wrong: list[str] | None,
    list_all: bool,
    as_json: bool,
    remove: bool,
    export: Path | None,
    import_from: Path | None,
) -> None:
    """Teach Earshot a sound from five recordings.

    The sound is then watched for like any other, under its name. The network stays unchanged, and no audio is kept unless you ask for it.
    """
    from streamer.runtime.files import is_file

    given = _Given(
        clips or [],
        events or [],
        others or [],
        wrong or [],
        times=times if listen else 0,
        playback=not no_playback,
        keep=keep,
    )
    tasks = {"--list": list_all, "--remove": remove, "--export": export, "--import": import_from}
    _require_one_task(name, given, more, [task for task, asked in tasks.items() if asked])
    if as_json and not list_all:
        raise UsageError("--json goes with --list: give both")
    sounds = _sounds()
    if list_all:
        _list(sounds, as_json=as_json)
    elif import_from is not None:
        _import(sounds, import_from)
    elif given.wrong:
        _correct(settings.load(context), sounds, [*given.wrong, *([name] if name else []), *(more or [])])
    elif name is None:
        raise UsageError(f"name the sound, such as: {_EXAMPLE}")
    elif given.clips and is_file(name):
        raise UsageError(f"{name} is a recording: name the sound first, such as: {_EXAMPLE}")
    elif remove:
        _remove(lambda: settings.load(context), sounds, name)
    elif export is not None:
        _export(sounds, name, export)
    else:
        _teach(lambda: settings.load(context), sounds, name, given.with_more(more or []))


@dataclass(frozen=True, slots=True)
class _Given:
    """Recordings, events and takes on the command line."""

    clips: list[str]
    events: list[str]
    others: list[str]
    wrong: list[str]
    times: int
    playback: bool
    keep: bool

    @property
    def options(self) -> list[str]:
        """Options that were given."""
        lists = {
            "--clips": self.clips,
            "--events": self.events,
            "--not": self.others,
            "--wrong": self.wrong,
            "--listen": self.times,
            "--keep": self.keep,
        }
        return [option for option, values in lists.items() if values]

    def with_more(self, more: list[str]) -> "_Given":
        """Return this with further arguments, which belong to the option before them."""
        if not more:
            return self
        if bool(self.clips) == bool(self.events):
            raise UsageError(f"'{more[0]}' belongs to no option: repeat --clips or --events before each")
        if self.clips:
            return replace(self, clips=[*self.clips, *more])
        return replace(self, events=[*self.events, *more])


def _require_one_task(
    name: str | None, given: _Given, more: Sequence[str] | None, tasks: Sequence[str]
) -> None:
    """Raise a UsageError unless the options ask for one thing, and nothing is given in vain."""
    if len(tasks) > 1:
        raise UsageError(f"give one of {' and '.join(tasks)}")
    if tasks and (given.options or more):
        raise UsageError(f"{tasks[0]} takes no recordings")
    if name is not None and tasks and tasks[0] in {"--list", "--import"}:
        raise UsageError(f"{tasks[0]} takes no name of a sound")
    if given.wrong and len(given.options) > 1:
        raise UsageError(f"give --wrong without {' and '.join(set(given.options) - {'--wrong'})}")


def _sounds() -> "TaughtSounds":
    from models.teaching.taught_sounds import TaughtSounds
    from streamer.events.own_sounds import own_sounds_folder

    return TaughtSounds(own_sounds_folder())


def _teach(load: "Callable[[], Settings]", sounds: "TaughtSounds", name: str, given: _Given) -> None:
    from models.teaching.taught_sounds import checked_name

    from . import teach_lesson, teach_listen, teach_material

    name = checked_name(name)
    teach_lesson.require_unknown(name)
    teach_lesson.require_libraries()
    if not (given.clips or given.events or given.times):
        raise UsageError(f"give recordings of '{name}': {_EXAMPLE.replace('Our doorbell', name)}")
    chosen = load()
    teach_lesson.require_unknown(name, chosen.model)
    heard = [*teach_material.read_clips(given.clips), *teach_material.read_events(chosen, given.events)]
    unrelated = teach_material.read_unrelated(chosen, given.others)
    if given.times:
        heard += teach_listen.record(chosen, given.times, playback=given.playback)
    material = teach_material.Material(heard, unrelated, keep=given.keep)
    teach_lesson.teach_sound(chosen, sounds, name, material)


def _correct(chosen: "Settings", sounds: "TaughtSounds", identifiers: Sequence[str]) -> None:
    from streamer.events.own_sounds import own_sound_names

    from . import teach_correction, teach_lesson, teach_material

    teach_lesson.require_libraries()
    events = teach_material.find_events(chosen, identifiers, taught=own_sound_names())
    teach_correction.correct_sounds(chosen, sounds, events)


def _list(sounds: "TaughtSounds", *, as_json: bool) -> None:
    from . import teach_list

    if as_json:
        teach_list.write_json(sounds)
    elif not teach_list.write_table(sounds):
        typer.echo(f"no sound was taught: {_EXAMPLE}")


def _remove(load: "Callable[[], Settings]", sounds: "TaughtSounds", name: str) -> None:
    removed = sounds.remove(name)
    what = "the correction of " if removed.lowers else ""
    _log.info("%s'%s' is removed", what, removed.name)
    if not removed.lowers and (advice := _advice_on_removal(load(), removed.name)):
        _log.warning("%s", advice)


def _advice_on_removal(chosen: "Settings", name: str) -> str:
    """Return what to do if the settings name a sound that was removed, with which Earshot would not start; empty if they don't."""
    from streamer.text import slug

    watched = [*(chosen.watched or ()), *(entry for own in chosen.watch_overrides.values() for entry in own)]
    named = {
        "watch": [entry.sound for entry in watched],
        "clips_never": [entry.sound for entry in chosen.excluded_from_clips],
        "notify_sounds": chosen.notify_sounds,
        "notify_quiet": [span.sound for span in chosen.quiet_hours],
    }
    places = [setting for setting, sounds in named.items() if slug(name) in map(slug, sounds)]
    if not places:
        return ""
    return (
        f"your settings still name '{name}': remove it from {' and '.join(places)}, or Earshot does not start"
    )


def _export(sounds: "TaughtSounds", name: str, path: Path) -> None:
    from models.teaching.taught_sounds import write_sound

    sound = sounds.find(name)
    write_sound(path, sound)
    _log.info("'%s' is written to %s", sound.name, path)


def _import(sounds: "TaughtSounds", path: Path) -> None:
    from models.teaching.taught_sounds import read_sound

    from .teach_lesson import require_unknown

    sound: TaughtSound = read_sound(path)
    if not sound.lowers:
        require_unknown(sound.name)
    before = sounds.get(sound.name)
    sounds.save(sound)
    if before is not None and before.taught_at != sound.taught_at:
        sounds.forget_examples(sound.name)
    models = ", ".join(head.model for head in sound.heads.values())
    _log.info("'%s' is added, for %s", sound.name, models)
