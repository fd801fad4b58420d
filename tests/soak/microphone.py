"""Faults of a microphone and its sound server."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from support.microphone import VirtualMicrophone
from support.system import require

from soak.fault import Fault
from soak.rig import Rig, sound_server, spread, stopped

Absence: TypeAlias = Callable[[Rig, VirtualMicrophone], AbstractContextManager[None]]
"""Block in which a microphone is missing."""

RATE_HZ = 48_000
RECOVERY_SECONDS = 5.0
LONGEST_ABSENCE_SECONDS = 6.0
SHIFT_SECONDS = 0.1
"""Largest difference between index and clock after a gap: the buffer of a sound server varies."""


@contextmanager
def unplugged(rig: Rig, microphone: VirtualMicrophone) -> Iterator[None]:
    """Unplug the microphone."""
    microphone.stop()
    yield
    VirtualMicrophone.start(rig.folder, RATE_HZ)


@contextmanager
def without_server(rig: Rig, microphone: VirtualMicrophone) -> Iterator[None]:
    """Kill the sound server."""
    os.kill(sound_server(microphone), signal.SIGKILL)
    yield
    VirtualMicrophone.start(rig.folder, RATE_HZ)


def stalled(_rig: Rig, microphone: VirtualMicrophone) -> AbstractContextManager[None]:
    """Stop the sound server: PortAudio sees a driver that delivers nothing and does not answer."""
    return stopped(sound_server(microphone))


def vanishes(rig: Rig, times: int) -> str:
    """Unplug the microphone, and plug it in after a while."""
    return _comes_and_goes(rig, times, unplugged)


def server_is_killed(rig: Rig, times: int) -> str:
    """Kill the sound server, and start another after a while."""
    return _comes_and_goes(rig, times, without_server)


def stalls(rig: Rig, times: int) -> str:
    """Stop the driver for a while."""
    return _comes_and_goes(rig, times, stalled)


def _comes_and_goes(rig: Rig, times: int, absence: Absence) -> str:
    require("pulseaudio", "paplay")
    microphone = VirtualMicrophone.start(rig.folder, RATE_HZ)
    chance = random.Random(0)
    recoveries, shifts = [], []
    try:
        with rig.listening("--source", "mic", "--hop", "0.5", environment=microphone.environment) as program:
            for _ in range(times):
                before = program.lateness_seconds("mic")
                with absence(rig, microphone):
                    rig.wait_for("mic/status", "offline")
                    time.sleep(chance.uniform(0.0, LONGEST_ABSENCE_SECONDS))
                back = time.monotonic()
                recoveries.append(rig.wait_for("mic/status", "online") - back)
                shifts.append(abs(program.lateness_seconds("mic") - before))
    finally:
        microphone.stop()
    mic = rig.account["sources"]["mic"]
    assert max(recoveries) < RECOVERY_SECONDS, f"audio is back after {recoveries} s"
    assert max(shifts) < SHIFT_SECONDS, f"the index is off by {shifts} s"
    assert mic["gaps"] == times, f"{mic['gaps']} gaps"
    return (
        f"audio is back after {spread(recoveries)}; {times} gaps of {mic['lost_samples']:,} samples in all, each within "
        f"{1000 * max(shifts):.0f} ms of the outage"
    )


PROMISE = f"audio is back within {RECOVERY_SECONDS:.0f} s of its return; the gap is as long as the outage"

FAULTS = (
    Fault("microphone", "a microphone disappears and returns", PROMISE, vanishes, times=5),
    Fault("sound-server", "the sound server is killed", PROMISE, server_is_killed, times=3),
    Fault("stall", "a driver hangs for seconds", PROMISE, stalls, times=3),
)
