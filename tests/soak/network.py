"""Outages of the servers of network sources."""

import time
from contextlib import ExitStack

import numpy as np
from support.sound_servers import HttpServer, RtspServer, encoded, stream
from support.system import free_port

from soak.fault import Fault
from soak.rig import Rig, spread

AWAY_SECONDS = 5.0
RECOVERY_SECONDS = 15.0
"""Limit that allows for growing pauses between attempts, and seconds for an attempt of FFmpeg."""


def servers_go_and_return(rig: Rig, times: int) -> str:
    """Stop a radio station and a camera, and start them again."""
    tone = (0.3 * np.sin(np.arange(2 * 44_100) * 0.06)).astype(np.float32)
    mp3 = encoded("mp3", "libmp3lame", tone, 44_100, options={"write_xing": "0"})
    ports = {"radio": free_port(), "camera": free_port()}
    recoveries = []

    def servers(stack: ExitStack) -> None:
        answers = {"/live": stream(mp3 * 300, len(mp3) / 2.0, burst=len(mp3))}
        stack.enter_context(HttpServer(answers, port=ports["radio"]))
        stack.enter_context(RtspServer(port=ports["camera"]))

    options = (
        *("--source", f"radio=http://127.0.0.1:{ports['radio']}/live", "--hop", "0.5"),
        *("--source", f"camera=rtsp://127.0.0.1:{ports['camera']}/live"),
    )
    with ExitStack() as stack:
        servers(stack)
        with rig.listening(*options) as program:
            for _ in range(times):
                for source in ports:
                    program.wait_for_tags(source, 6)
                stack.close()
                gone = time.monotonic()
                for source in ports:
                    rig.wait_for(f"{source}/status", "offline")
                time.sleep(max(0.0, gone + AWAY_SECONDS - time.monotonic()))
                back = time.monotonic()
                servers(stack)
                recoveries += [rig.wait_for(f"{source}/status", "online") - back for source in ports]
            for source in ports:
                program.wait_for_tags(source, 6)
    sources = rig.account["sources"]
    assert max(recoveries) < RECOVERY_SECONDS, f"audio is back after {recoveries} s"
    for name in ports:
        assert sources[name]["gaps"] == times, f"{name}: {sources[name]}"
    lost = ", ".join(f"{name} {sources[name]['lost_samples']:,}" for name in ports)
    return f"audio is back after {spread(recoveries)}; {times} gaps each, samples lost: {lost}"


FAULTS = (
    Fault(
        "network",
        "a camera and a radio station go offline and return",
        "audio is back after one gap; pauses between attempts grow to 30 s",
        servers_go_and_return,
        times=3,
    ),
)
