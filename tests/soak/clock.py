"""Changes of the clock, as a time server or an administrator makes them."""

import itertools
import mmap
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from support.microphone import VirtualMicrophone
from support.system import require

from soak.fault import Fault
from soak.meanwhile import meanwhile
from soak.rig import Rig

STEPS_SECONDS = (3_600, -7_200, 86_400, -5)
SOURCES = ("mic", "demo", "pipe")
AGREEMENT_SECONDS = 1.0
SOON_SECONDS = 5.0


def is_set(rig: Rig, times: int) -> str:
    """Set the clock forward and back for the program and its PortAudio process; the machine's clock stays unchanged.

    A small library in front of the system's (clock.c) adds the step to what the clock says, and to nothing else.
    """
    require("cc", "pulseaudio", "paplay")
    microphone = VirtualMicrophone.start(rig.folder, 48_000)
    door = rig.folder / "pipe"
    worst, ahead = 0.0, 0
    options = (
        "--source",
        "mic",
        "--source",
        "demo",
        "--source",
        f"pipe=unix:{door}",
        "--hop",
        "0.5",
        "--window",
        "2",
    )
    try:
        with (
            settable_clock(rig.folder) as (clock, environment),
            sender(door),
            rig.listening(*options, environment=microphone.environment | environment) as program,
        ):
            for source in SOURCES:
                program.wait_for_tags(source, 4)
            for step in itertools.islice(itertools.cycle(STEPS_SECONDS), times):
                ahead += step
                clock[:] = struct.pack("l", ahead)
                time.sleep(SOON_SECONDS)
                for source in SOURCES:
                    taggings = program.wait_for_tags(source, 4)  # of which some come late, for all are busy
                    worst = max(worst, min(abs(_error_seconds(line, ahead)) for line in taggings))
            events = rig.check_events()
    finally:
        microphone.stop()
    for name, source in rig.account["sources"].items():
        assert (source["lost_samples"], source["gaps"]) == (0, 0), f"{name}: {source}"
    assert worst < AGREEMENT_SECONDS, f"times are wrong by {worst:.1f} s"
    ((backwards,),) = rig.ask("SELECT count(*) FROM event WHERE ended_at < started_at")
    assert backwards == 0, "no sound ends before it begins"
    return (
        f"set {times} times, by {', '.join(f'{step:+,} s' for step in STEPS_SECONDS[:times])}: 0 samples lost, 0 gaps; "
        f"after {SOON_SECONDS:.0f} s, times are right within {worst:.2f} s; {events}"
    )


@contextmanager
def settable_clock(folder: Path) -> Iterator[tuple[mmap.mmap, dict[str, str]]]:
    """Yield the file for the offset of the clock in seconds, and the environment that makes a program read this clock."""
    library, ahead = folder / "clock.so", folder / "ahead"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True, timeout=60)
    ahead.write_bytes(struct.pack("l", 0))
    with ahead.open("r+b") as file, mmap.mmap(file.fileno(), 0) as clock:
        yield clock, {"LD_PRELOAD": str(library), "SOAK_CLOCK": str(ahead)}


@contextmanager
def sender(door: Path) -> Iterator[None]:
    """Send noise to a socket in real time until the end of the block, whenever the socket exists."""
    noise = (1_000 * np.random.default_rng(0).standard_normal(1_600)).astype("<i2").tobytes()

    def send(over: threading.Event) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(door))
            began = time.monotonic()
            for block in itertools.count():
                if over.wait(max(0.0, began + block / 10 - time.monotonic())):
                    return
                connection.sendall(noise)

    def keep_sending(over: threading.Event) -> None:
        while not over.wait(
            0.05
        ):  # the socket is also there for a moment while the program looks whether it can be
            with suppress(OSError):
                send(over)

    with meanwhile(keep_sending):
        yield


def _error_seconds(tagging: Mapping[str, Any], ahead: int) -> float:
    """Return the error of a tagging's time; a tagging arrives at the end of its window, or slightly later."""
    said = datetime.fromisoformat(tagging["time"]).timestamp()
    came: float = tagging["came"] + time.time() - time.monotonic() + ahead
    return said - came


FAULTS = (
    Fault(
        "clock",
        "the clock is set, by hours",
        "no audio and no event is lost; times follow the new clock within seconds",
        is_set,
        times=4,
        times_in_tests=1,
    ),
)
