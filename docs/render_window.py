"""Render docs/window.png: the real window, a little over a minute into the demo.

python docs/render_window.py [--seconds 66.8] [--out docs/window.png]
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PySide6.QtWidgets import QApplication

from gui.feed import Feed
from gui.window import LiveWindow
from models.fbank import log_mel
from models.tagger import load_tagger
from streamer.health import HealthMeter
from streamer.messages import SAMPLE_RATE_HZ, SourceStatus
from streamer.pipeline import Pipeline
from streamer.sources import open_source


def main() -> None:
    """Play the demo into the window without waiting, and keep its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=66.8, help="where in the demo")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "window.png")
    options = parser.parse_args()
    tagger = load_tagger("tiny")
    feed = Feed(["demo"], tagger.labels)
    pipeline = Pipeline("demo", window_samples=tagger.window_samples, hop_samples=SAMPLE_RATE_HZ, live=False)
    meter = HealthMeter(
        hop_samples=SAMPLE_RATE_HZ, sources=1, model=tagger.name, device=tagger.engine.description
    )
    application = QApplication([])
    window = LiveWindow(feed, rows=log_mel, title="Earshot", kiosk=False)
    window.show()
    feed.accept(SourceStatus("demo", online=True))
    for chunk in open_source("demo", fast=True).chunks():
        position_seconds = chunk.start_sample / SAMPLE_RATE_HZ
        if position_seconds > options.seconds:
            break
        feed.hear("demo", chunk)
        for due in pipeline.feed(chunk):
            began = time.perf_counter()
            tagging = pipeline.conclude(due, tagger(due.samples)[0])
            meter.tagged([tagging], time.perf_counter() - began)
            feed.accept(tagging)
            feed.accept(meter.report(dropped_windows=0, repaired_samples=0, broker="none"))
        window.refresh(position_seconds)
        application.processEvents()
    if not window.grab().save(str(options.out)):
        sys.exit(f"{options.out} can't be written: check the folder")


if __name__ == "__main__":
    main()
