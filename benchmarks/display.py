"""Cost of the window without inference: frames per second, and the share of one core.

    python benchmarks/display.py [--seconds 20] [--kiosk] [--sources 8] [--hour]

The window shows synthetic sound and a tagging each second: scores that vary by 0.02, and entirely new ones every five
seconds. It starts with ten minutes of taggings and a hundred events. It is drawn offscreen, and on an X server without
acceleration (Xvfb) if that is installed. The sound comes from a thread in the same process, whose time is included.
``--hour`` draws the frames of an hour without waiting, and prints the memory meanwhile.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gui.data.feed import Feed
from models.log_mel import log_mel
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Health, SourceStatus, Tagging

CHUNK_SAMPLES = 320
WARM_UP_SECONDS = 3.0
CLASSES = 527
FRAMES_PER_SECOND = 30


def main() -> None:
    """Measure each platform in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the measurement")
    parser.add_argument("--kiosk", action="store_true", help="fill a screen of 1920 by 1080")
    parser.add_argument(
        "--sources", type=int, default=1, help="number of sources; the window shows one, the kiosk all"
    )
    parser.add_argument("--hour", action="store_true", help="draw an hour's frames and print the memory")
    parser.add_argument("--here", action="store_true", help="measure on this platform, in this process")
    options = parser.parse_args()
    if options.hour:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        measure_memory(options.sources)
        return
    if options.here:
        measure(options.seconds, kiosk=options.kiosk, sources=options.sources)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    command = [sys.executable, __file__, "--here", "--seconds", str(options.seconds)]
    command += ["--sources", str(options.sources)]
    command += ["--kiosk"] * options.kiosk
    if not options.kiosk:
        subprocess.run(  # noqa: S603 - this script
            command, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, check=True
        )
    xvfb_run = shutil.which("xvfb-run")
    if xvfb_run is None:
        print("xcb: not measured, xvfb-run is not installed")
        return
    screen = [xvfb_run, "--auto-servernum", "--server-args", "-screen 0 1920x1080x24"]
    subprocess.run(  # noqa: S603 - the same
        [*screen, *command], env={**os.environ, "QT_QPA_PLATFORM": "xcb"}, check=True
    )


def measure(seconds: float, *, kiosk: bool, sources: int) -> None:
    """Run the real window on synthetic sound and print its cost."""
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QApplication

    from gui.app.run import run
    from gui.widgets.spectrogram import Picture

    names = [f"source {number}" for number in range(1, sources + 1)]
    feed = Feed(names, [f"Sound number {number}" for number in range(CLASSES)])
    source = SyntheticSource(feed)
    source.fill()
    over = threading.Event()
    frames = 0
    draw = Picture.paintEvent

    def counted(picture: Picture, event: QPaintEvent) -> None:
        nonlocal frames
        frames += 1
        draw(picture, event)

    Picture.paintEvent = counted  # type: ignore[method-assign, assignment]
    opened = time.monotonic()
    started: tuple[float, float, int] | None = None
    figures = ""

    def poll() -> bool:
        nonlocal started, figures
        now = time.monotonic(), time.process_time(), frames
        if started is None:
            started = now if now[0] - opened > WARM_UP_SECONDS else None
            return True
        wall, busy, drawn = (after - before for after, before in zip(now, started, strict=True))
        if wall < seconds:
            return True
        size = next(widget.size() for widget in QApplication.topLevelWidgets() if widget.isVisible())
        figures = (
            f"{QApplication.platformName()} {size.width()}x{size.height()}: {drawn / wall:.1f} frames/s, "
            f"{busy / wall:.1%} of one core over {wall:.0f} s"
        )
        return False

    player = threading.Thread(target=_play, args=(source, over), name="synthetic")
    player.start()
    try:
        run(feed, log_mel=log_mel, poll=poll, kiosk=kiosk)
    finally:
        over.set()
        player.join()
    print(figures)


def measure_memory(sources: int) -> None:
    """Draw the frames of an hour without waiting, and print the memory of the process meanwhile."""
    import psutil
    from PySide6.QtWidgets import QApplication

    from gui.app.window import LiveWindow
    from gui.data.histories import SourceHistories

    application = QApplication([])
    names = [f"source {number}" for number in range(1, sources + 1)]
    feed = Feed(names, [f"Sound number {number}" for number in range(CLASSES)])
    source = SyntheticSource(feed)
    window = LiveWindow(feed, histories=SourceHistories(log_mel), title="Earshot")
    window.show()
    for frame in range(60 * 60 * FRAMES_PER_SECOND + 1):
        if frame % (10 * 60 * FRAMES_PER_SECOND) == 0:
            memory = psutil.Process().memory_info().rss / 2**20
            minutes = frame // (60 * FRAMES_PER_SECOND)
            print(f"{minutes:2} min, {frame} frames: {memory:.0f} MB", flush=True)
        source.play(SAMPLE_RATE_HZ // FRAMES_PER_SECOND)
        window.refresh(frame / FRAMES_PER_SECOND)
        application.processEvents()


class SyntheticSource:
    """Synthetic sound and results over time, the same for each source.

    Parameters
    ----------
    feed : Feed
        Feed that receives them.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._random = np.random.default_rng(0)
        times = np.arange(10 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        wobble = 0.6 + 0.4 * np.sin(2 * np.pi * 2 * times)
        sweep = np.sin(2 * np.pi * (200 * times + 150 * times**2)) * wobble
        hiss = 0.01 * self._random.standard_normal(len(times))
        self._sound = (0.3 * sweep + hiss).astype(np.float32)
        self._scene = self._random.random(CLASSES) ** 60
        self._second = 0
        self.started_at = time.time()
        self.position = 0
        for source in feed.sources:
            feed.accept(SourceStatus(source, online=True))

    def fill(self, seconds: int = 600) -> None:
        """Add taggings and events of the last minutes."""
        for ago in range(seconds, 0, -1):
            self._tag(self.started_at - ago)

    def play(self, samples: int) -> None:
        """Add some more sound."""
        offset = self.position % len(self._sound)
        part = self._sound[offset : offset + samples]
        now = self.started_at + self.position / SAMPLE_RATE_HZ
        for source in self._feed.sources:
            self._feed.add_chunk(source, AudioChunk(part, self.position, now))
        self.position += len(part)
        if self.position // SAMPLE_RATE_HZ > self._second:
            self._second = self.position // SAMPLE_RATE_HZ
            self._tag(now)

    def _tag(self, now: float) -> None:
        second = round(now - self.started_at)
        if second % 5 == 0:
            self._scene = self._random.random(CLASSES) ** 60
        noise = self._random.normal(0.0, 0.02, CLASSES)
        scores = np.clip(self._scene + noise, 0.0, 1.0).astype(np.float32)
        for source in self._feed.sources:
            self._feed.accept(Tagging(source, 0, self.position, now, scores, -20.0, 0.1))
            if second % 6 == 0:
                name = f"Sound number {int(scores.argmax())}"
                self._feed.accept(Event(f"{source} {second}", "ended", name, source, 0.9, now - 4, now))
        self._feed.accept(Health(0.0, self._second, 0, 0, 0.0, 0, 0.1, 0.2, 0.1, "none", "cpu", "none"))


def _play(source: SyntheticSource, over: threading.Event) -> None:
    """Play in steps of 20 ms as they become due."""
    while not over.wait(max(0.0, source.started_at + source.position / SAMPLE_RATE_HZ - time.time())):
        source.play(CHUNK_SAMPLES)


if __name__ == "__main__":
    main()
