"""Teaching of a sound by the command ``teach``: to the model of the settings and to the embedded one."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from .. import tagger
from ..progress import bars
from .teach_material import Material

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.loading import AnyTagger
    from models.teaching.lessons import Taught
    from models.teaching.taught_sounds import TaughtSounds
    from models.teaching.taught_tagger import Embedder
    from streamer.settings.schema import Settings

_MANY_OTHERS = 800
"""Windows with other sounds from which a threshold was measured to let through about 2 of 1,000; with fewer, about 7."""

_log = logging.getLogger(__name__)


def teach_sound(chosen: "Settings", sounds: "TaughtSounds", name: str, material: Material) -> None:
    """Teach a sound, and print what to expect of it.

    Raises
    ------
    ModelError
        As for `learn_sound`.
    """
    with bars() as update:
        taught = learn_sound(chosen, sounds, name, material, update)
    for example, was_found in taught.found:
        typer.echo(f"{'found ' if was_found else 'missed'}  {example}")
    for line in verdict(taught):
        typer.echo(line)
    _log.info("'%s' is saved; a running Earshot starts to use it at once", name)
    if advice := watch_advice(chosen, name):
        _log.warning("%s", advice)


def learn_sound(
    chosen: "Settings",
    sounds: "TaughtSounds",
    name: str,
    material: Material,
    report: "Callable[[str, int, int], None]",
) -> "Taught":
    """Teach a sound to the model of the settings and to the embedded one, which tags until the other is ready; return the result for the first.

    Parameters
    ----------
    chosen : Settings
        Settings of the program.
    sounds : TaughtSounds
        Folder for the sound.
    name : str
        Name of the sound.
    material : Material
        Recordings to learn from.
    report : callable
        Receives the name of a part, the number of its windows done and the total.

    Raises
    ------
    ModelError
        A recording is not an example, a model can't be loaded, or the sound can't be saved.
    """
    from models.teaching.examples import find_example
    from models.teaching.kept_examples import write_examples
    from models.teaching.lessons import teach_model
    from models.teaching.rooms import load_room
    from streamer.events.own_sounds import own_sounds_folder

    results, examples = [], []
    for model in models_of(chosen):
        require_unknown_to(name, model)
        examples = [find_example(path, recording, model.window_samples) for path, recording in material.heard]
        room = load_room(own_sounds_folder(), model.fingerprint)
        results.append(teach_model(model, name, examples, material.unrelated, room, report))
    first = results[0]
    heads = {key: head for result in reversed(results) for key, head in result.sound.heads.items()}
    sounds.save(replace(first.sound, heads=heads))
    if material.keep:
        write_examples(sounds.examples_file(name), examples, material.unrelated)
    else:
        sounds.forget_examples(name)
    return first


def watch_advice(chosen: "Settings", name: str) -> str:
    """Return what to do if the settings name the sounds to watch, and this one is not among them; empty if it is watched."""
    from streamer.text import slug

    watched = chosen.watched
    if watched is None or slug(name) in {slug(entry.sound) for entry in watched}:
        return ""
    return f"your settings name the sounds to watch, and '{name}' is not one of them: add it to watch"


def models_of(chosen: "Settings") -> "Iterator[AnyTagger]":
    """Load the model of the settings, then the embedded one.

    Raises
    ------
    ModelError
        One can't be loaded.
    """
    from models.catalogue import EMBEDDED

    for model in dict.fromkeys((tagger.choose_model(chosen).name, EMBEDDED)):
        yield tagger.load(chosen, model)


def require_libraries() -> None:
    """Check that the libraries for teaching are installed, which workers spare a node.

    Raises
    ------
    TeachingError
        They are not.
    """
    from models.errors import EngineError, TeachingError
    from models.loading import require_local

    try:
        require_local()
    except EngineError:
        raise TeachingError(
            'teaching needs PyTorch and scikit-learn on this machine: run pip install -e ".[local]" in the checkout, or teach on another '
            "machine with the same --model, and bring the sound here with --export and --import"
        ) from None


def require_unknown(name: str, model: str | None = None) -> None:
    """Check that a name is not that of a sound in the catalogue, or of a class of a model, as far as it is known without loading it.

    Parameters
    ----------
    name : str
        Name of a sound to teach.
    model : str, optional
        Name or path of the model of the settings; the embedded one is checked, too. By default, only the catalogue is.

    Raises
    ------
    TeachingError
        It is.
    """
    from models.catalogue import EMBEDDED
    from models.known_labels import known_labels
    from models.teaching.taught_sounds import require_new_name
    from streamer.events.catalogue import catalogue, own_sounds

    own = {sound.name for sound in own_sounds()}
    known = [sound.name for sound in catalogue() if sound.name not in own]
    require_new_name(name, [*known, *(sound.replace(" ", "_") for sound in known)])
    for one in (model, EMBEDDED) if model is not None else ():
        require_new_name(name, known_labels(one) or ())


def require_unknown_to(name: str, model: "Embedder") -> None:
    """Check that a name is not that of a model's class.

    Raises
    ------
    TeachingError
        It is.
    """
    from models.teaching.taught_sounds import require_new_name

    require_new_name(name, model.labels)


def verdict(taught: "Taught") -> list[str]:
    """Return sentences that say what to expect."""
    share = "About 2" if taught.others >= _MANY_OTHERS else "About 7"
    found = sum(was_found for _, was_found in taught.found)
    lines = [
        (
            f"{found} of {len(taught.found)} examples were found when it had learned from the other ones only: expect about "
            f"{round(10 * taught.recall)} of 10. {share} of 1,000 windows with other sounds are taken for it ({taught.others:,} compared)."
        )
    ]
    if taught.nearest:
        lines.append(f"Nearest other sounds: {', '.join(taught.nearest)}.")
    if taught.others < _MANY_OTHERS:
        lines.append(
            "For fewer false alarms, run earshot calibrate --for 1h --collect in your room, and teach the sound again."
        )
    if not taught.reliable:
        lines.append(
            "These examples differ too much to be found reliably: give more of them, or teach two sounds under two names."
        )
    return lines
