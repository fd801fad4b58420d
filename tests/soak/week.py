"""A week of audio in simulated time; everything is real except the microphone and the model."""

import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from support.mosquitto import Mosquitto, Subscriber
from support.waiting import wait_until

from soak.fault import Fault
from soak.rig import PATIENCE_SECONDS, Rig
from soak.simulated import HOUR_SAMPLES, SimulatedClock, SimulatedMicrophone, loudness_as_scores
from streamer.events.catalogue import Watch, resolve_sounds
from streamer.health import HealthMeter
from streamer.health.memory import resident_bytes
from streamer.live.channel import Input, Mode
from streamer.live.session import LiveSession, Outputs
from streamer.messages import SAMPLE_RATE_HZ, WINDOW_SAMPLES, AudioChunk, SourceHealth
from streamer.runtime.threads import ThreadGroup
from streamer.sinks.health_log import HealthLog
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.publisher import MqttPublisher
from streamer.sinks.payloads import LabelSet
from streamer.sinks.terminal.lines import JsonLines

LABELS = ("Speech", "Dog")
MOST_GROWTH_BYTES = 8_000_000
MOST_ERROR_SECONDS = 0.03
SETTLED_HOURS = 2
"""Time until lists of bounded length are full."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of the week.

    Attributes
    ----------
    account : SourceHealth
        Final account of the program.
    delivered_samples, refused_samples, absences : int
        Counts of `SimulatedMicrophone`.
    clock_error_seconds : float
        Error of the time of the last sample.
    resident_bytes : list of int
        Memory by hour.
    seconds : float
        Real duration of the run.
    """

    account: SourceHealth
    delivered_samples: int
    refused_samples: int
    absences: int
    clock_error_seconds: float
    resident_bytes: list[int]
    seconds: float


def listens_for_a_week(rig: Rig, hours: int) -> str:
    """Listen for some hours in a process of its own, so that its memory can be measured."""
    folder = rig.folder / "week"
    folder.mkdir()
    spawning = multiprocessing.get_context("spawn")
    with (
        Mosquitto(folder) as broker,
        Subscriber(broker.port, "earshot/week/mic/events", qos=0) as subscriber,
        ProcessPoolExecutor(1, spawning) as process,
    ):
        outcome = process.submit(
            listen, hours, broker.port, rig.data / "earshot" / "history.sqlite3"
        ).result()
        stored = rig.stored()
        wait_until(lambda: len(subscriber.messages) >= len(stored), "all events to arrive", PATIENCE_SECONDS)
        told = [(event["id"], event["event_type"]) for event in (each.json() for each in subscriber.messages)]
    assert list(dict.fromkeys(told)) == stored, "all events arrive, in order"
    _check_account(outcome)
    assert abs(outcome.clock_error_seconds) < MOST_ERROR_SECONDS, (
        f"off by {outcome.clock_error_seconds:.3f} s"
    )
    memory = _memory(outcome, hours)
    account = outcome.account
    return (
        f"{hours} h in {outcome.seconds:.0f} s ({hours / outcome.seconds:.2f} h/s): {account.samples:,} samples = "
        f"{account.windowed_samples:,} windowed + {account.lost_samples:,} lost + {account.skipped_samples:,} skipped; "
        f"{account.gaps} gaps, {outcome.absences} of them absences; {account.windows:,} windows, all tagged; {len(stored):,} events, "
        f"0 lost, 0 out of order; last sample dated within {1000 * abs(outcome.clock_error_seconds):.0f} ms; {memory}"
    )


def listen(hours: int, port: int, path: Path) -> Outcome:
    """Listen to a simulated microphone for some hours, as fast as possible."""
    clock = SimulatedClock()
    microphone = SimulatedMicrophone(hours, clock)
    label_set = LabelSet(LABELS, (None, None))
    resident: list[int] = []
    last: list[AudioChunk] = []

    def notice(_name: str, chunk: AudioChunk) -> None:
        last[:] = [chunk]
        if chunk.start_sample // HOUR_SAMPLES >= len(resident):
            resident.append(resident_bytes() or 0)

    began = time.perf_counter()
    with (
        History(path, days=36_500.0) as history,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        ThreadGroup() as threads,
    ):
        mqtt = MqttPublisher(
            Broker("127.0.0.1", port),
            node="week",
            sources=["mic"],
            label_set=label_set,
            watched_at=lambda _source: ["Speech"],
            outbox=history,
        )
        session = LiveSession(
            [Input(microphone, SAMPLE_RATE_HZ, resolve_sounds([Watch("Speech")], LABELS))],
            loudness_as_scores,
            Mode(WINDOW_SAMPLES, fast=True),
            Outputs(
                [history, mqtt, JsonLines(nowhere, label_set, 2), HealthLog(clock=lambda: clock.elapsed)],
                taps=[notice],
            ),
            meter=HealthMeter(clock=lambda: clock.elapsed),
            broker_state=lambda: mqtt.state,
            clock=lambda: clock.wall,
        )
        threads.start("mqtt", mqtt.run, mqtt.close)
        wait_until(lambda: mqtt.state == "connected", "the broker")
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(0.1)
            session.report_health()
        wait_until(lambda: not history.pending(1), "all events to be published", PATIENCE_SECONDS)
        (account,) = session.health().sources
    end = last[-1].start_sample + len(last[-1].samples)
    said = last[-1].captured_at + len(last[-1].samples) / SAMPLE_RATE_HZ
    assert end == account.samples
    return Outcome(
        account=account,
        delivered_samples=microphone.delivered_samples,
        refused_samples=microphone.refused_samples,
        absences=microphone.absences,
        clock_error_seconds=said - (microphone.true_seconds(microphone.frame) + clock.ahead),
        resident_bytes=resident,
        seconds=time.perf_counter() - began,
    )


def _check_account(outcome: Outcome) -> None:
    """Compare the account with the microphone's own counts."""
    account = outcome.account
    assert account.samples == outcome.delivered_samples + account.lost_samples
    assert account.windowed_samples + account.skipped_samples == outcome.delivered_samples
    assert (account.waiting_samples, account.paused_samples) == (0, 0)
    assert account.lost_samples >= outcome.refused_samples
    assert account.cut_windows == account.windows
    assert account.dropped_windows == 0


def _memory(outcome: Outcome, hours: int) -> str:
    resident = outcome.resident_bytes[min(SETTLED_HOURS, hours - 1) :]
    first, last = (statistics.median(part) for part in (resident[:24], resident[-24:]))
    assert last - first < MOST_GROWTH_BYTES, f"{last - first:,.0f} bytes more"
    return f"{first / 1e6:.0f} MB on the first day, {last / 1e6:.0f} MB on the last"


FAULTS = (
    Fault(
        "week",
        "a week of audio, in simulated time (--hours)",
        "memory is constant; every delivered sample is windowed or skipped, all others are counted as lost; times stay right",
        listens_for_a_week,
        times=168,
        times_in_tests=2,
    ),
)
