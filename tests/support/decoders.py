"""FFmpeg processes of a program: which there are, and what they need."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

MOST_MEGABYTES = 420
"""Memory limit of an FFmpeg process, with the libraries that it shares."""

MOST_DESCRIPTORS = 64


def decoders(program: psutil.Process) -> list[psutil.Process]:
    """Return the FFmpeg processes of a program."""
    found = []
    for child in program.children():
        with suppress(psutil.Error):
            if "streamer.sources.ffmpeg.child" in child.cmdline():
                found.append(child)
    return found


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Measure the largest memory in MB and number of descriptors of the FFmpeg processes, and the growth of this process."""
    most = {"megabytes": 0.0, "descriptors": 0.0}
    done = threading.Event()
    own = psutil.Process()
    before = own.memory_info().rss

    def measure() -> None:
        is_last = False
        while not is_last:
            is_last = done.wait(0.02)
            for child in decoders(own):
                with suppress(psutil.Error, FileNotFoundError):
                    most["megabytes"] = max(most["megabytes"], child.memory_info().rss / 1e6)
                    most["descriptors"] = max(most["descriptors"], child.num_fds())

    watcher = threading.Thread(target=measure)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()
        most["own_megabytes"] = (own.memory_info().rss - before) / 1e6


def assert_bounded(most: dict[str, float]) -> None:
    """Check that what was measured is within the limits."""
    assert 0 < most["megabytes"] < MOST_MEGABYTES
    assert 0 < most["descriptors"] < MOST_DESCRIPTORS
    assert most["own_megabytes"] < 50
