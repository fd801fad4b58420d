"""Faults of the broker while sounds begin and end."""

import time

from support.waiting import wait_until

from soak.fault import Fault
from soak.rig import PATIENCE_SECONDS, Rig

OUTAGE_SECONDS = 20.0
SOURCES = ("--source", "a=demo", "--source", "b=demo", "--hop", "0.5", "--window", "2")


def is_killed(rig: Rig, times: int) -> str:
    """Kill the broker, and restart it after a while in which events wait."""
    waited, recoveries = [], []
    with rig.listening(*SOURCES):
        for _ in range(times):
            wait_until(rig.received, "an event", PATIENCE_SECONDS)
            rig.kill_broker()
            time.sleep(OUTAGE_SECONDS)
            waited.append(_waiting(rig))
            back = time.monotonic()
            rig.start_broker()
            wait_until(lambda: not _waiting(rig), "all to be published", PATIENCE_SECONDS)
            recoveries.append(time.monotonic() - back)
        events = rig.check_events()
    return f"{sum(waited)} events waited; all delivered {max(recoveries):.1f} s after its return, at most; {events}"


def hangs(rig: Rig, times: int) -> str:
    """Stop the broker without closing its connections."""
    waited = []
    with rig.listening(*SOURCES):
        for _ in range(times):
            wait_until(rig.received, "an event", PATIENCE_SECONDS)
            rig.broker.freeze()
            time.sleep(2 * OUTAGE_SECONDS)
            waited.append(_waiting(rig))
            rig.broker.thaw()
            wait_until(lambda: not _waiting(rig), "all to be published", PATIENCE_SECONDS)
        events = rig.check_events()
    assert rig.account["lost_seconds"] == 0.0
    return f"{sum(waited)} events waited; {events}; no sound lost"


def _waiting(rig: Rig) -> int:
    ((count,),) = rig.ask("SELECT count(*) FROM event WHERE published = 0")
    assert isinstance(count, int)
    return count


PROMISE = "no event is lost or out of order; listening continues"

FAULTS = (
    Fault("broker", "the broker is killed and comes back", PROMISE, is_killed, times=3),
    Fault("frozen-broker", "the broker hangs", PROMISE, hangs, times=1),
)
