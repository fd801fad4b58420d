"""A killed program, and one that gets little processor time."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
from support.waiting import wait_until

from soak.fault import Fault
from soak.meanwhile import meanwhile
from soak.rig import PATIENCE_SECONDS, Rig

SHARE = 0.12
PERIOD_SECONDS = 0.1
STARVED_SECONDS = 15.0
LONGEST_LATENCY_SECONDS = 5.0
MOST_GROWTH_BYTES = 16_000_000


def is_killed(rig: Rig, times: int) -> str:
    """Kill the program at a random moment after the start of a sound, and restart it."""
    chance = random.Random(0)
    orphans = 0
    options = ("--source", "a=demo", "--hop", "0.25", "--window", "2")
    for _ in range(times):
        heard = len(rig.received())
        with rig.listening(*options, interrupt=False) as program:
            wait_until(lambda: len(rig.received()) > heard, "an event", PATIENCE_SECONDS)  # noqa: B023
            time.sleep(chance.uniform(0.0, 3.0))
            program.kill()
        assert rig.ask("PRAGMA integrity_check") == [("ok",)]
        orphans += len(_left_on(rig))
    left_on = _left_on(rig)
    with rig.listening(*options):
        assert left_on <= {identifier for identifier, kind in rig.stored() if kind == "ended"}
        events = rig.check_events()
    return f"{times} kills; the history is whole; {orphans} sounds were on, and ended by the next start; {events}"


def is_starved(rig: Rig, times: int) -> str:
    """Run the program an eighth of the time, with two sources and a short hop."""
    with rig.listening("--source", "a=demo", "--source", "b=demo", "--hop", "0.2") as program:
        program.wait_for_tags("a", 20)
        before, began = rig.account, time.monotonic()
        with kept_from_running(program.pid, SHARE):
            time.sleep(STARVED_SECONDS * times)
            middle, halfway = rig.account, time.monotonic()
            time.sleep(STARVED_SECONDS * times)
            relieved = time.monotonic()
        time.sleep(2.0)
        rested = [line["latency_seconds"] for line in program.wait_for_tags("a", 15)]
    after = rig.account
    early = [line["latency_seconds"] for line in program.taggings if began < line["came"] < halfway]
    late = [line["latency_seconds"] for line in program.taggings if halfway < line["came"] < relieved]
    dropped = after["dropped_windows"] - before["dropped_windows"]
    growth = after["resident_bytes"] - middle["resident_bytes"]
    assert dropped > 0, "it was too slow"
    assert max(early + late) < LONGEST_LATENCY_SECONDS, f"a latency of {max(early + late):.1f} s"
    assert max(late) < 2.0 * max(early), f"a latency of {max(early):.1f} s has become {max(late):.1f} s"
    assert max(rested) < max(early + late), "it is over when it is over"
    assert growth < MOST_GROWTH_BYTES, f"{growth:,} bytes more"
    return (
        f"{relieved - began:.0f} s: {dropped:,} of {after['windows'] + after['dropped_windows']:,} windows dropped and counted; "
        f"latency at most {max(early):.1f} s in the first half, {max(late):.1f} s in the second, {max(rested):.2f} s "
        f"once that was over; {growth / 1e6:+.1f} MB from the middle to the end; {after['lost_seconds']:.1f} s of sound lost"
    )


@contextmanager
def kept_from_running(pid: int, share: float) -> Iterator[None]:
    """Run a process and its children a share of the time until the end of the block.

    They are stopped and continued ten times a second, which needs no rights and takes nothing from others on the machine.
    """
    processes = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]

    def send(number: signal.Signals) -> None:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def throttle(over: threading.Event) -> None:
        while not over.wait(share * PERIOD_SECONDS):
            send(signal.SIGSTOP)
            over.wait((1.0 - share) * PERIOD_SECONDS)
            send(signal.SIGCONT)

    with meanwhile(throttle):
        yield


def _left_on(rig: Rig) -> set[str]:
    """Return the identifiers of sounds that have started and not ended."""
    events = rig.stored()
    return {identifier for identifier, _ in events} - {
        identifier for identifier, kind in events if kind == "ended"
    }


FAULTS = (
    Fault(
        "kill",
        "the program is killed (SIGKILL)",
        "the history is intact; active sounds are ended by the next start; no event is lost",
        is_killed,
        times=5,
        times_in_tests=1,
    ),
    Fault(
        "starved",
        "the program gets an eighth of a core",
        "late windows are dropped and counted; latency and memory stay bounded",
        is_starved,
        times=4,
    ),
)
