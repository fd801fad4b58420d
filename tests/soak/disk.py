"""A full disk below the history."""

import time

from support.disks import mounted
from support.waiting import wait_until

from soak.fault import Fault
from soak.rig import PATIENCE_SECONDS, Rig

FULL_SECONDS = 25.0


def fills_up(rig: Rig, times: int) -> str:
    """Fill the disk, and free space after a while."""
    rig.data.mkdir()
    unsaved, recoveries = [], []
    with mounted(rig.data) as disk, rig.listening("--source", "a=demo", "--hop", "0.5", "--window", "2"):
        for _ in range(times):
            wait_until(rig.received, "an event", PATIENCE_SECONDS)
            disk.fill()
            time.sleep(FULL_SECONDS)
            unsaved.append(len(set(rig.received()) - set(rig.stored())))
            disk.make_room()
            began = time.monotonic()
            wait_until(
                lambda: set(rig.received()) <= set(rig.stored()), "all to be written", PATIENCE_SECONDS
            )
            recoveries.append(time.monotonic() - began)
        events = rig.check_events()
    assert sum(unsaved), "there were events meanwhile"
    assert rig.account["lost_seconds"] == 0.0
    return (
        f"{sum(unsaved)} events told, and kept in memory; written {max(recoveries):.1f} s after there was room, at most; "
        f"{events}; no sound lost"
    )


FAULTS = (
    Fault(
        "full-disk",
        "the disk is full",
        "listening and publishing continue; up to 1,000 events wait in memory and are written later",
        fills_up,
        times=2,
    ),
)
