"""Results that sinks could not deliver or store are counted in the health."""

import numpy as np
from support.session import live_session

from streamer.messages import NO_LOSSES, Health, Losses, Message, Samples
from streamer.runtime.threads import ThreadGroup
from streamer.sinks import total_losses
from streamer.sources import open_source


class Reports:
    """A sink that keeps every health message."""

    def __init__(self) -> None:
        self.healths: list[Health] = []

    def accept(self, message: Message) -> None:
        if isinstance(message, Health):
            self.healths.append(message)


class Lossy(Reports):
    """A sink that reports fixed losses."""

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self._losses = losses

    def losses(self) -> Losses:
        return self._losses


def silent(batch: Samples) -> Samples:
    return np.zeros((len(batch), 1), np.float32)


def test_losses_of_all_sinks_are_added_up() -> None:
    sinks = [Reports(), Lossy(Losses(lost_events=1, unsaved_events=2)), Lossy(Losses(lost_events=3))]
    assert total_losses(sinks) == Losses(lost_events=4, unsaved_events=2)
    assert total_losses([Reports()]) == NO_LOSSES


def test_the_health_of_a_session_has_the_losses_of_its_sinks() -> None:
    reports = Reports()
    session = live_session(
        [open_source("demo", name="demo", fast=True)],
        silent,
        hop_samples=16_000,
        sinks=[reports, Lossy(Losses(undelivered_events=7))],
        fast=True,
        limit_samples=48_000,
    )
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger"):
            threads.wait(0.02)
    assert reports.healths[-1].losses == Losses(undelivered_events=7)
