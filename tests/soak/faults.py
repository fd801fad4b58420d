"""All faults, in the order of docs/reliability.md."""

from soak import broker, clock, disk, microphone, network, process, switch, week

FAULTS = (
    *microphone.FAULTS,
    *network.FAULTS,
    *broker.FAULTS,
    *disk.FAULTS,
    *process.FAULTS,
    *switch.FAULTS,
    *clock.FAULTS,
    *week.FAULTS,
)
