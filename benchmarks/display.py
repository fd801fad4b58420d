"""What the window costs without inference: pictures per second, and the share of one core.

    python benchmarks/display.py [--seconds 20] [--kiosk]

One source of synthetic sound is drawn, and a tagging each second: scores that vary by 0.02, and five seconds later
others altogether. It is drawn offscreen, and on an X server without acceleration (Xvfb) where that is installed. The
sound comes from a thread in the same process and is counted with the rest.
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

from gui.feed import Feed
from models.fbank import log_mel
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Health, SourceStatus, Tagging

CHUNK_SAMPLES = 320
WARM_UP_SECONDS = 3.0
CLASSES = 527


def main() -> None:
    """Measure each platform in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure")
    parser.add_argument("--kiosk", action="store_true", help="fill a screen of 1920 by 1080")
    parser.add_argument("--here", action="store_true", help="measure on this platform, in this process")
    options = parser.parse_args()
    if options.here:
        measure(options.seconds, kiosk=options.kiosk)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the run")
    command = [sys.executable, __file__, "--here", "--seconds", str(options.seconds)]
    command += ["--kiosk"] * options.kiosk
    if not options.kiosk:
        subprocess.run(  # noqa: S603 - this very script
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


def measure(seconds: float, *, kiosk: bool) -> None:
    """Run the real window on synthetic sound and print what it took."""
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QApplication

    from gui.app import run
    from gui.spectrogram import Picture

    feed = Feed(["synthetic"], [f"Sound number {number}" for number in range(CLASSES)])
    over = threading.Event()
    pictures = 0
    draw = Picture.paintEvent

    def counted(picture: Picture, event: QPaintEvent) -> None:
        nonlocal pictures
        pictures += 1
        draw(picture, event)

    Picture.paintEvent = counted  # type: ignore[method-assign, assignment]
    opened = time.monotonic()
    began: tuple[float, float, int] | None = None
    figures = ""

    def poll() -> bool:
        nonlocal began, figures
        now = time.monotonic(), time.process_time(), pictures
        if began is None:
            began = now if now[0] - opened > WARM_UP_SECONDS else None
            return True
        wall, busy, drawn = (after - before for after, before in zip(now, began, strict=True))
        if wall < seconds:
            return True
        size = next(widget.size() for widget in QApplication.topLevelWidgets() if widget.isVisible())
        figures = (
            f"{QApplication.platformName()} {size.width()}x{size.height()}: {drawn / wall:.1f} pictures/s, "
            f"{busy / wall:.1%} of one core over {wall:.0f} s"
        )
        return False

    speaker = threading.Thread(target=_speak, args=(feed, over), name="synthetic")
    speaker.start()
    try:
        run(feed, rows=log_mel, poll=poll, kiosk=kiosk)
    finally:
        over.set()
        speaker.join()
    print(figures)


def _speak(feed: Feed, over: threading.Event) -> None:
    """Feed ten seconds of sound again and again, in chunks of 20 ms as they become due."""
    random = np.random.default_rng(0)
    times = np.arange(10 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    sweep = np.sin(2 * np.pi * (200 * times + 150 * times**2)) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * times))
    sound = (0.3 * sweep + 0.01 * random.standard_normal(len(times))).astype(np.float32)
    began_at = time.time()
    feed.accept(SourceStatus("synthetic", online=True))
    position = 0
    scene = random.random(CLASSES) ** 60
    while not over.wait(max(0.0, began_at + position / SAMPLE_RATE_HZ - time.time())):
        offset = position % len(sound)
        samples = sound[offset : offset + CHUNK_SAMPLES]
        feed.hear("synthetic", AudioChunk(samples, position, began_at + position / SAMPLE_RATE_HZ))
        position += len(samples)
        if position % SAMPLE_RATE_HZ == 0:
            if position % (5 * SAMPLE_RATE_HZ) == 0:
                scene = random.random(CLASSES) ** 60
            scores = np.clip(scene + random.normal(0.0, 0.02, CLASSES), 0.0, 1.0).astype(np.float32)
            feed.accept(Tagging("synthetic", 0, position, began_at, scores, -20.0, 0.1))
            feed.accept(
                Health(0.0, position // SAMPLE_RATE_HZ, 0, 0, 0.0, 0, 0.1, 0.2, 0.1, "none", "cpu", "none")
            )


if __name__ == "__main__":
    main()
