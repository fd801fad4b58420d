"""A listen switch that is toggled often."""

from soak.fault import Fault
from soak.rig import Rig

TOGGLES = 5


def is_toggled(rig: Rig, times: int) -> str:
    """Toggle a source's switch while four sources keep the tagger busy."""
    sources = [f"--source={name}=demo" for name in "abcd"]
    with rig.listening(*sources, "--hop", "0.25", "--window", "2") as program:
        for _ in range(TOGGLES * times):
            _turn(rig, "OFF")
            _turn(rig, "ON")
        program.wait_for_tags("a", 4)
    a, b = (rig.account["sources"][name] for name in "ab")
    assert a["paused_samples"] > 0
    assert (a["lost_samples"], b["paused_samples"], b["lost_samples"]) == (0, 0, 0)
    return (
        f"{TOGGLES * times} times off and on: {a['paused_samples']:,} samples paused, {a['skipped_samples']} skipped, 0 lost; "
        f"the other three had all of theirs"
    )


def _turn(rig: Rig, to: str) -> None:
    rig.publish("a/listen/set", to)
    rig.wait_for("a/listen", to)
    rig.wait_for("a/status", "online" if to == "ON" else "offline")


FAULTS = (
    Fault(
        "switch",
        "the listen switch is toggled under load",
        "paused audio is counted exactly; other sources are not affected",
        is_toggled,
        times=8,
        times_in_tests=1,
    ),
)
