"""The command ``teach``."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import settings, tagger
from ..failures import UsageError
from ..options import takes
from ..progress import bars
from ..recordings import read_recording

if TYPE_CHECKING:
    from models.teaching.lessons import Taught
    from models.teaching.taught_sounds import TaughtSound, TaughtSounds
    from models.teaching.taught_tagger import Embedder
    from streamer.messages import Samples
    from streamer.settings.schema import Settings

_MANY_OTHERS = 800
"""Windows with other sounds from which thresholds were measured to keep their promise within a factor of two; with fewer, within five."""

_log = logging.getLogger(__name__)


@takes("teach")
def teach(
    context: typer.Context,
    *,
    name: str | None,
    more_clips: list[str] | None,
    clips: list[str] | None,
    others: list[str] | None,
    list_all: bool,
    remove: bool,
    export: Path | None,
    import_from: Path | None,
) -> None:
    """Teach it a sound of your own from five recordings.

    The sound is then watched for like any other, under its name. The network stays unchanged, and no audio is kept.
    """
    recordings = [*(clips or ()), *(more_clips or ())]
    _require_one_task(name, recordings, others, list_all, remove, export, import_from)
    sounds = _sounds()
    if list_all:
        _print_list(sounds)
    elif import_from is not None:
        _import(sounds, import_from)
    elif name is None:
        raise UsageError(
            "name the sound, such as: earshot teach 'Our doorbell' --clips a.wav b.wav c.wav d.wav e.wav"
        )
    elif remove:
        _log.info("'%s' is removed", sounds.remove(name).name)
    elif export is not None:
        _export(sounds, name, export)
    else:
        _teach(settings.load(context), sounds, name, recordings, others or ())


def _require_one_task(
    name: str | None,
    recordings: Sequence[str],
    others: Sequence[str] | None,
    list_all: bool,
    remove: bool,
    export: Path | None,
    import_from: Path | None,
) -> None:
    """Raise a UsageError unless the options ask for one thing, and nothing is given in vain."""
    tasks = {"--list": list_all, "--remove": remove, "--export": export, "--import": import_from}
    asked = [option for option, given in tasks.items() if given]
    if len(asked) > 1:
        raise UsageError(f"give one of {' and '.join(asked)}")
    if asked and (recordings or others):
        raise UsageError(f"{asked[0]} takes no recordings")
    if name is not None and asked and asked[0] in {"--list", "--import"}:
        raise UsageError(f"{asked[0]} takes no name of a sound")


def _sounds() -> "TaughtSounds":
    from models.teaching.taught_sounds import TaughtSounds
    from streamer.events.own_sounds import own_sounds_folder

    return TaughtSounds(own_sounds_folder())


def _teach(
    chosen: "Settings", sounds: "TaughtSounds", name: str, recordings: Sequence[str], others: Sequence[str]
) -> None:
    """Teach a sound to the model of the settings and to the embedded one, which tags until the other is ready."""
    from models.catalogue import EMBEDDED
    from models.teaching.taught_sounds import checked_name

    name = checked_name(name)
    _require_unknown(name)
    _require_libraries()
    if not recordings:
        raise UsageError(
            f"give recordings of '{name}': earshot teach '{name}' --clips a.wav b.wav c.wav d.wav e.wav"
        )
    heard = [(path, read_recording(Path(path))) for path in recordings]
    unrelated = [read_recording(Path(path)) for path in others]
    choice = tagger.choose_model(chosen)
    names = dict.fromkeys((choice.name, EMBEDDED))
    results = []
    with bars() as update:
        for model in names:
            loaded = tagger.load(chosen, model)
            _require_unknown_to(name, loaded)
            results.append(_teach_model(loaded, name, heard, unrelated, update))
    first = results[0]
    heads = {key: head for result in reversed(results) for key, head in result.sound.heads.items()}
    path = sounds.save(replace(first.sound, heads=heads))
    _print_result(first)
    _log.info("'%s' is saved in %s; start Earshot again to listen for it", name, path)


def _teach_model(
    model: "Embedder",
    name: str,
    heard: "Sequence[tuple[str, Samples]]",
    unrelated: "Sequence[Samples]",
    update: Callable[[str, float, float], None],
) -> "Taught":
    """Teach a sound to one model."""
    from models.teaching.examples import find_example
    from models.teaching.lessons import teach as learn_sound
    from models.teaching.other_sounds import general_sounds, recorded_sounds

    examples = [find_example(path, recording, model.window_samples) for path, recording in heard]
    others = general_sounds(
        model, lambda done, total: update(f"other sounds for {model.name}, once", done, total)
    )
    if unrelated:
        others += recorded_sounds(
            model, unrelated, lambda done, total: update("recordings without the sound", done, total)
        )
    return learn_sound(
        model, name, examples, others, lambda done, total: update(f"teaching {model.name}", done, total)
    )


def _require_libraries() -> None:
    """Raise an error unless the libraries for teaching are installed, which workers spare a node."""
    from models.errors import EngineError, TeachingError
    from models.loading import require_local

    try:
        require_local()
    except EngineError:
        raise TeachingError(
            'teaching needs PyTorch and scikit-learn on this machine: run pip install -e ".[local]" in the checkout, or teach on another '
            "machine with the same --model, and bring the sound here with --export and --import"
        ) from None


def _require_unknown(name: str) -> None:
    """Raise an error if the name is that of a sound in the catalogue."""
    from models.teaching.taught_sounds import require_new_name
    from streamer.events.catalogue import catalogue, own_sounds

    own = {sound.name for sound in own_sounds()}
    known = [sound.name for sound in catalogue() if sound.name not in own]
    require_new_name(name, [*known, *(sound.replace(" ", "_") for sound in known)])


def _require_unknown_to(name: str, model: "Embedder") -> None:
    """Raise an error if the name is that of a model's class."""
    from models.teaching.taught_sounds import require_new_name

    require_new_name(name, model.labels)


def _print_result(taught: "Taught") -> None:
    """Print how well each example is found without it, and what to expect."""
    for example, was_found in taught.found:
        typer.echo(f"{'found ' if was_found else 'missed'}  {example}")
    share = "About 2" if taught.others >= _MANY_OTHERS else "Up to 5"
    found = sum(was_found for _, was_found in taught.found)
    typer.echo(
        f"{found} of {len(taught.found)} examples were found by a head that had learned from the others only: expect about "
        f"{round(10 * taught.recall)} of 10. {share} of 1,000 windows with other sounds are taken for it ({taught.others:,} compared)."
    )
    if taught.nearest:
        typer.echo(f"Nearest other sounds: {', '.join(taught.nearest)}.")
    if not taught.reliable:
        typer.echo(
            "These examples differ too much to be found reliably: give more of them, or teach two sounds under two names."
        )


def _print_list(sounds: "TaughtSounds") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("sound", "examples", "taught", "model", "finds")
    found = sounds.read()
    for sound in found:
        for number, head in enumerate(sound.heads.values()):
            taught = sound.taught_at.astimezone().strftime("%Y-%m-%d %H:%M")
            first = (escape(sound.name), str(sound.examples), taught) if number == 0 else ("", "", "")
            table.add_row(*first, escape(head.model), f"{round(10 * head.recall)} of 10")
    if found:
        Console().print(table)
    else:
        typer.echo("no sound was taught: earshot teach 'Our doorbell' --clips a.wav b.wav c.wav d.wav e.wav")


def _export(sounds: "TaughtSounds", name: str, path: Path) -> None:
    from models.teaching.taught_sounds import write_sound

    sound = sounds.find(name)
    write_sound(path, sound)
    _log.info("'%s' is written to %s", sound.name, path)


def _import(sounds: "TaughtSounds", path: Path) -> None:
    from models.teaching.taught_sounds import read_sound

    sound: TaughtSound = read_sound(path)
    _require_unknown(sound.name)
    sounds.save(sound)
    models = ", ".join(head.model for head in sound.heads.values())
    _log.info("'%s' is added, for %s; start Earshot again to listen for it", sound.name, models)
