"""Real window with its own feed and clock, and sound and taggings to show."""

import os
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.actions import Actions
from gui.app.window import LiveWindow
from gui.data.feed import Feed
from gui.data.histories import SourceHistories
from models.log_mel import log_mel
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Health, Samples, Tagging

LABELS = tuple(f"Sound {number}" for number in range(40))
FRAME_SECONDS = 1 / 30


def tone(frequency_hz: float, seconds: float, amplitude: float = 0.5) -> Samples:
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def chunks_of(samples: Samples, size: int = 480, start_sample: int = 0) -> Iterator[AudioChunk]:
    for offset in range(0, len(samples), size):
        position = start_sample + offset
        yield AudioChunk(samples[offset : offset + size], position, 1.7e9 + position / SAMPLE_RATE_HZ)


def tagging(scores: dict[int, float], source: str = "mic", latency_seconds: float | None = 0.25) -> Tagging:
    vector = np.zeros(len(LABELS), np.float32)
    for label, score in scores.items():
        vector[label] = score
    return Tagging(source, 0, 16000, 1.7e9, vector, -20.0, latency_seconds)


def health(**changed: object) -> Health:
    values: dict[str, object] = {
        "uptime_seconds": 60.0,
        "windows": 55,
        "dropped_windows": 3,
        "overruns": 1,
        "lost_seconds": 1.5,
        "repaired_samples": 0,
        "latency_p50_seconds": 0.2,
        "latency_p95_seconds": 0.4,
        "real_time_factor": 0.35,
        "model": "tiny",
        "device": "cpu",
        "broker": "connected",
        "latency_p99_seconds": 0.9,
        "resident_bytes": 512_000_000,
    }
    return Health(**{**values, **changed})  # type: ignore[arg-type]


def feed_with_sound() -> Feed:
    """Return a feed with a second of sound."""
    feed = Feed(["mic"], LABELS)
    for chunk in chunks_of(tone(1000, 1.0)):
        feed.add_chunk("mic", chunk)
    return feed


def polls(count: int) -> Callable[[], bool]:
    """Return a function that returns False after some calls."""
    ticks = iter(range(count))
    return lambda: next(ticks, None) is not None


class Bench:
    """Real window with its own feed and clock."""

    def __init__(self, qtbot: QtBot, *sources: str, actions: Actions | None = None) -> None:
        self.feed = Feed(sources or ("mic",), LABELS)
        self.window = LiveWindow(
            self.feed, histories=SourceHistories(log_mel), title="Earshot", actions=actions
        )
        qtbot.addWidget(self.window)
        self.window.resize(1280, 720)
        with qtbot.waitExposed(self.window):
            self.window.show()
        with qtbot.waitActive(self.window):
            self.window.activateWindow()
        self.now_seconds = 1000.0

    def play(self, samples: Samples, start_sample: int = 0, source: str = "mic") -> None:
        for chunk in chunks_of(samples, start_sample=start_sample):
            self.feed.add_chunk(source, chunk)

    def pass_time(self, seconds: float = FRAME_SECONDS) -> None:
        QApplication.processEvents()
        for _ in range(max(1, round(seconds / FRAME_SECONDS))):
            self.now_seconds += FRAME_SECONDS
            self.window.refresh(self.now_seconds)
        QApplication.processEvents()

    def picture(self) -> NDArray[np.int64]:
        """Return the pixels of the spectrogram on screen: (height, width, red green blue)."""
        image = (
            self.window.panels.spectrogram.picture.grab()
            .toImage()
            .convertToFormat(QImage.Format.Format_RGB32)
        )
        pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
        return pixels[:, :, 2::-1].astype(np.int64)

    def labels_shown(self) -> list[str]:
        return [row.label for row in sorted(self.window.panels.tags.shown, key=lambda row: row.top)]
