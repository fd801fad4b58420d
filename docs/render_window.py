"""Render the pictures of docs/: the real window, three minutes into the demo.

python docs/render_window.py [--seconds 183.8] [--size 1280x720] [--out docs] [SCENE...]
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from gui.actions import Actions, AudioInput, Examples, Span, TeachActions
from gui.app.kiosk import KioskWindow
from gui.app.window import LiveWindow
from gui.data.feed import Feed
from gui.data.histories import SourceHistories
from gui.look import KioskLook
from gui.style import theme
from models.labels import family_of
from models.loading import load_here
from models.log_mel import log_mel
from models.short_names import short_names
from models.tagger import Tagger
from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.events.detector import EventDetector, detect_events
from streamer.health import HealthMeter
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Message, SourceStatus, Tagging, Watched
from streamer.sources import open_source
from streamer.stream.scoring import tagging_of
from streamer.stream.windows import WindowCutter

WINDOW_PICTURES = ("window", "light", "kiosk", "teaching")
"""Scenes in the documentation."""


def main() -> None:
    """Play the demo into a window for each scene without waiting, and save its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"any of {', '.join(SCENES)}")
    parser.add_argument("--seconds", type=float, default=183.8, help="position in the demo")
    parser.add_argument("--size", default="1280x720", help="size of the window")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the pictures")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    application = QApplication([])
    tagger = load_here("tiny")
    sounds = resolve_sounds([Watch("Siren"), Watch("Music"), Watch("Telephone")], tagger.labels)
    items = list(listen(tagger, sounds, options.seconds))
    for name in options.scenes or WINDOW_PICTURES:
        scene = SCENES[name]
        feed = Feed(scene.sources, tagger.labels)
        actions = actions_of(tagger, sounds)
        kind = partial(KioskWindow, look=scene.look) if scene.kind is KioskWindow else scene.kind
        window: LiveWindow | KioskWindow = kind(
            feed, histories=SourceHistories(log_mel), title="Earshot", actions=actions, colours=scene.colours
        )
        window.resize(width, height)
        window.show()
        for position_seconds, item in items:
            add(feed, item)
            if position_seconds > options.seconds - 5 or not isinstance(item, AudioChunk):
                window.refresh(position_seconds)
                application.processEvents()
        scene.then(window, feed)
        for tick in range(30 if scene.settles else 1):
            window.refresh(options.seconds + tick / 30)
            application.processEvents()
        save(window, options.out / f"{name}.png")
        window.close()


Item: TypeAlias = AudioChunk | Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Window, and the actions in it before the picture is taken.

    Attributes
    ----------
    kind : type
        Class of the window.
    colours : Palette
        Colours at the start.
    sources : sequence of str
        Names of the sources.
    then : callable
        Takes the window and its feed; acts before the picture.
    settles : bool
        True to wait until animations have ended.
    look : KioskLook
        Look of a kiosk.
    """

    kind: type[LiveWindow | KioskWindow] = LiveWindow
    colours: theme.Palette = theme.DARK
    sources: Sequence[str] = ("demo",)
    then: Callable[[Any, Feed], object] = lambda _window, _feed: None
    settles: bool = False
    look: KioskLook = field(default_factory=KioskLook)


def listen(tagger: Tagger, sounds: Sequence[WatchedSound], seconds: float) -> Iterator[tuple[float, Item]]:
    """Yield the chunks and messages of the demo with their times."""
    detector = EventDetector(sounds)
    cutter = WindowCutter("demo", window_samples=tagger.window_samples, hop_samples=SAMPLE_RATE_HZ)
    meter = HealthMeter(model=tagger.name, device="openvino cpu fp32")
    meter.set_rate(1.0)
    tagged = meter.source("demo")
    yield 0.0, SourceStatus("demo", online=True)
    for chunk in repeated_demo(seconds):
        now = chunk.start_sample / SAMPLE_RATE_HZ
        yield now, chunk
        for due in cutter.feed(chunk):
            tagging = tagging_of(due, tagger(due.samples)[0])
            meter.tagged([tagging], 0.1)
            tagged.add_tagged()
            yield now, replace(tagging, latency_seconds=0.13)
            yield now, meter.report([tagged.report()], broker="connected")
            for event in detector.feed(tagging):
                yield now, event


def repeated_demo(seconds: float) -> Iterator[AudioChunk]:
    """Yield the demo again and again, at fixed capture times."""
    chunks = list(open_source("demo", fast=True).chunks())
    length = chunks[-1].start_sample + len(chunks[-1].samples)
    started_at = 1_790_000_000.0
    for offset in range(0, round(seconds * SAMPLE_RATE_HZ), length):
        for chunk in chunks:
            start = chunk.start_sample + offset
            if start > seconds * SAMPLE_RATE_HZ:
                return
            yield AudioChunk(chunk.samples, start, started_at + start / SAMPLE_RATE_HZ)


def add(feed: Feed, item: Item) -> None:
    """Add a chunk or a message to a feed."""
    if isinstance(item, AudioChunk):
        feed.add_chunk("demo", item)
    else:
        feed.accept(item)


def actions_of(tagger: Tagger, sounds: Sequence[WatchedSound]) -> Actions:
    """Return the functions of a program, most of which do nothing."""

    def fire(_source: str, taggings: Sequence[Tagging], name: str, threshold: float) -> list[Span]:
        (sound,) = resolve_sounds([Watch(name, {"threshold": threshold})], tagger.labels)
        return [(event.started_at, event.ended_at) for event in detect_events(sound, taggings)]

    watched = tuple(Watched(sound.sound.name, sound.indices, sound.thresholds) for sound in sounds)
    return Actions(
        watched=lambda _source: watched,
        watch=lambda _source, _name, _threshold: None,
        unwatch=lambda _source, _name: None,
        preview_events=fire,
        list_inputs=lambda _source: (AudioInput("mic", "USB microphone", current=True),),
        set_input=lambda _source, address: address,
        set_listening=lambda _source, _on: None,
        teach=TeachActions(
            names=lambda: ("Dishwasher", "Our doorbell"),
            play=lambda _source, _start, _end: None,
            add=lambda _source, _start, _end, name: Examples(name, 2, 3, 5),
            learn=lambda _name: None,
            correct=lambda _event: None,
            lesson=lambda: None,
            remembers=lambda: False,
            remember=lambda _on: None,
        ),
        save_settings=lambda _theme: "earshot.toml",
        export_folder=Path(),
        families={label: family_of(label) for label in tagger.labels},
        names=short_names(),
    )


def lost_device() -> SourceStatus:
    """Return the status of a microphone that was unplugged."""
    return SourceStatus(
        "demo", online=False, reason="USB Audio has stopped recording; check that it is still plugged in"
    )


def drag(window: LiveWindow, _feed: Feed) -> None:
    """Move the threshold of music."""
    window.panels.tags.threshold_moved.emit(
        window.state.snapshot.sources["demo"].taggings[-1].scores.argmax(), 0.62
    )


def search(window: LiveWindow, _feed: Feed) -> None:
    """Search for dogs."""
    window.control.shortcuts["find"].trigger()
    window.control.search.field.setText("dog")


def teach(window: LiveWindow, _feed: Feed) -> None:
    """Select two seconds, and ask for their name."""
    for name in ("teach", "select_back", "select_back", "teach"):
        window.control.shortcuts[name].trigger()


def lose(_window: object, feed: Feed) -> None:
    """Unplug the microphone."""
    feed.accept(lost_device())


def add_rooms(_window: object, feed: Feed) -> None:
    """Give the other sources earlier sound and tags of the demo; the last one has lost its microphone."""
    view = feed.snapshot().sources["demo"]
    for number, source in enumerate(feed.sources[1:], 1):
        earlier = view.tagging_at(view.taggings[-1].ended_at - 14 * number)
        if earlier is not None:
            feed.accept(replace(earlier, source=source))
        for chunk in view.chunks:
            feed.add_chunk(source, chunk)
    feed.accept(replace(lost_device(), source=feed.sources[-1]))


def freeze(window: LiveWindow, _feed: Feed) -> None:
    """Freeze the view forty seconds ago."""
    window.control.navigation.freeze(window.state.shown_until - 40.0)


SCENES: Mapping[str, Scene] = {
    "window": Scene(),
    "light": Scene(colours=theme.LIGHT, then=freeze, settles=True),
    "kiosk": Scene(kind=KioskWindow, look=KioskLook(text="Clap, whistle, sing…")),
    "kiosk-quiet": Scene(kind=KioskWindow, sources=("hall",), look=KioskLook(text="Clap, whistle, sing…")),
    "kiosk-german": Scene(
        kind=KioskWindow,
        look=KioskLook(text="Klatsch, pfeif, sing…", language="de", hidden=frozenset({"Musical instrument"})),
    ),
    "rooms": Scene(
        kind=KioskWindow, sources=("demo", "kitchen", "front door", "garden"), then=add_rooms, settles=True
    ),
    "kiosk-lost": Scene(kind=KioskWindow, then=lose),
    "frozen": Scene(then=freeze, settles=True),
    "threshold": Scene(then=drag),
    "threshold-light": Scene(colours=theme.LIGHT, then=drag),
    "search": Scene(then=search),
    "figures": Scene(then=lambda window, _: window.control.shortcuts["figures"].trigger()),
    "teaching": Scene(then=teach, settles=True),
    "keys": Scene(then=lambda window, _: window.control.shortcuts["help"].trigger()),
    "sources": Scene(
        sources=("demo", "kitchen", "garden", "front door", "garage", "attic", "street", "yard")
    ),
    "lost": Scene(then=lose),
    "error": Scene(
        then=lambda window, _: window.panels.status.show_message(
            "Telephone can't be watched here; choose another model"
        )
    ),
}


def save(window: QWidget, path: Path) -> None:
    """Save a window's picture with 256 colours, which is small enough for a repository."""
    pixels = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    stride = pixels.bytesPerLine()
    picture = Image.frombuffer(
        "RGB", (pixels.width(), pixels.height()), bytes(pixels.constBits()), "raw", "RGB", stride
    )
    small = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    try:
        small.save(path, optimize=True)
    except OSError as error:
        sys.exit(f"{path} can't be written ({error.strerror}); check the folder")


if __name__ == "__main__":
    main()
