"""The disk with the history fills up, or becomes read-only, and is well again."""

import time
from collections.abc import Callable

from disks import Disk, mounted
from soak.fault import Fault
from soak.rig import PATIENCE_SECONDS, Rig, wait_until

ILL_SECONDS = 25.0


def fills_up(rig: Rig, times: int) -> str:
    """Leave no room on it, then make some."""
    return _falls_ill(rig, times, Disk.fill, Disk.make_room)


def is_read_only(rig: Rig, times: int) -> str:
    """Forbid to write on it, then allow it."""
    return _falls_ill(rig, times, Disk.protect, lambda disk: disk.protect(against_writing=False))


def _falls_ill(
    rig: Rig, times: int, spoil: Callable[[Disk], None], cure: Callable[[Disk], None]
) -> str:
    rig.data.mkdir()
    unsaved, recoveries = [], []
    with mounted(rig.data) as disk, rig.listening("--source", "a=demo", "--hop", "0.5", "--window", "2"):
        for _ in range(times):
            wait_until(rig.received, "an event", PATIENCE_SECONDS)
            spoil(disk)
            time.sleep(ILL_SECONDS)
            unsaved.append(len(set(rig.received()) - set(rig.stored())))
            cure(disk)
            well = time.monotonic()
            wait_until(
                lambda: set(rig.received()) <= set(rig.stored()), "all to be written", PATIENCE_SECONDS
            )
            recoveries.append(time.monotonic() - well)
        events = rig.check_events()
    assert sum(unsaved), "there were events meanwhile"
    assert rig.account["lost_seconds"] == 0.0
    return (
        f"{sum(unsaved)} events told, and kept in memory; written {max(recoveries):.1f} s after it was well, at most; "
        f"{events}"
    )


PROMISE = "listening and telling go on; what memory holds (1,000 events) is written later"

FAULTS = (
    Fault("full-disk", "the disk is full", PROMISE, fills_up, times=2),
    Fault("read-only-disk", "the disk is read-only", PROMISE, is_read_only, times=2),
)
