"""A microphone, and the sound server that has it, come and go."""

import os
import random
import signal
import time
from collections.abc import Callable

from conftest import VirtualMicrophone, require
from soak.fault import Fault
from soak.rig import Rig, sound_server, spread, stopped

RATE_HZ = 48_000
RECOVERY_SECONDS = 5.0
STALL_SECONDS = 5.0
SHIFT_SECONDS = 0.1
"""How far the index may be from the clock after a gap: what a sound server buffers is more when it has just been opened."""


def vanishes(rig: Rig, times: int) -> str:
    """Unplug it, and plug it in after some time."""
    return _comes_and_goes(rig, times, VirtualMicrophone.stop)


def server_is_killed(rig: Rig, times: int) -> str:
    """Kill the sound server, and start another one."""
    return _comes_and_goes(rig, times, lambda microphone: os.kill(sound_server(microphone), signal.SIGKILL))


def stalls(rig: Rig, times: int) -> str:
    """Let the sound server hang: to PortAudio, that is a driver that delivers nothing and answers nothing."""
    require("pulseaudio", "paplay")
    microphone = VirtualMicrophone.start(rig.folder, RATE_HZ)
    recoveries, shifts = [], []
    try:
        with rig.listening("--source", "mic", "--hop", "0.5", environment=microphone.environment) as program:
            for _ in range(times):
                before = program.lateness_seconds("mic")
                with stopped(sound_server(microphone)):
                    rig.wait_for("mic/status", "offline")
                    time.sleep(STALL_SECONDS)
                back = time.monotonic()
                recoveries.append(rig.wait_for("mic/status", "online") - back)
                shifts.append(abs(program.lateness_seconds("mic") - before))
    finally:
        microphone.stop()
    return _measured(rig.account["sources"]["mic"], recoveries, shifts)


def _comes_and_goes(rig: Rig, times: int, unplug: Callable[[VirtualMicrophone], None]) -> str:
    require("pulseaudio", "paplay")
    microphone = VirtualMicrophone.start(rig.folder, RATE_HZ)
    chance = random.Random(0)
    recoveries, shifts = [], []
    try:
        with rig.listening("--source", "mic", "--hop", "0.5", environment=microphone.environment) as program:
            for _ in range(times):
                before = program.lateness_seconds("mic")
                unplug(microphone)
                rig.wait_for("mic/status", "offline")
                time.sleep(chance.uniform(0.0, 6.0))
                microphone = VirtualMicrophone.start(rig.folder, RATE_HZ)
                back = time.monotonic()
                recoveries.append(rig.wait_for("mic/status", "online") - back)
                shifts.append(abs(program.lateness_seconds("mic") - before))
    finally:
        microphone.stop()
    return _measured(rig.account["sources"]["mic"], recoveries, shifts)


def _measured(mic: dict[str, int], recoveries: list[float], shifts: list[float]) -> str:
    assert max(recoveries) < RECOVERY_SECONDS, f"heard again after {recoveries} s"
    assert max(shifts) < SHIFT_SECONDS, f"the index is off by {shifts} s"
    assert mic["gaps"] == len(recoveries), f"{mic['gaps']} gaps"
    assert mic["dropped_windows"] == 0, f"{mic['dropped_windows']} windows dropped"
    return (
        f"heard again after {spread(recoveries)}; {mic['gaps']} gaps of {mic['lost_samples']:,} samples, "
        f"each within {1000 * max(shifts):.0f} ms of the time away"
    )


PROMISE = f"heard again within {RECOVERY_SECONDS:.0f} s of its return; the gap is as long as it was away"

FAULTS = (
    Fault("microphone", "a microphone vanishes and returns", PROMISE, vanishes, times=5),
    Fault("sound-server", "the sound server is killed", PROMISE, server_is_killed, times=3),
    Fault("stall", "a driver hangs for seconds", PROMISE, stalls, times=3),
)
