"""Live listening: a channel for each source, each with a reader's thread, and one tagger for all of them."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..errors import SourceError
from ..health import HealthMeter
from ..messages import Health, Message, NoiseLevels, WorkerHealth
from ..runtime.queues import BoundedQueue
from ..runtime.threads import ThreadGroup
from ..runtime.timing import Every
from ..sinks import NoiseSink, Sink, SourceListSink, total_losses
from ..sinks.clips.recorder import Clips
from ..stream.scoring import Scorer, Traffic
from .channel import Channel, ChunkTap, Input, Mode, Post
from .channels import ChannelSet, SharedParts
from .switches import Switches
from .tagger import Replacement, Tagger

_log = logging.getLogger(__name__)

_HEALTH_PERIOD_SECONDS = 2.0

_LAST_BATCH_SECONDS = 10.0
"""Time that the last batch and the last health may take when listening is stopped on a busy machine."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Receivers of what a session hears.

    Attributes
    ----------
    sinks : sequence of Sink
        Receive every message.
    taps : sequence of callable
        Receive every chunk.
    clips : Clips, optional
        Keeps the sound of events.
    """

    sinks: Sequence[Sink] = ()
    taps: Sequence[ChunkTap] = ()
    clips: Clips | None = None


class LiveSession:
    """Listens to sources until all have ended, or until its threads are stopped.

    Sources do not disturb each other. One that fails is opened again, with pauses that grow to its `retry_seconds`; if it has
    none, its channel ends, and `failure` is the first such error.

    The tagger takes all windows that wait as one batch. If it is late, each source's older window is replaced by the newer one and
    counted as dropped; in a fast session, readers wait for the tagger instead.

    Parameters
    ----------
    inputs : sequence of Input
        Sources with different names.
    scorer : callable, optional
        Samples float32 (batch, n) -> scores float32 (batch, classes); None if windows wait for `set_tagger`.
    mode : Mode
        Settings of all channels.
    outputs : Outputs
        Sinks, taps and clips.
    switches : Switches, optional
        Sources whose sound is discarded.
    meter : HealthMeter, optional
        Figures of the program.
    broker_state : callable
        Returns the state of the broker's connection for `Health`.
    clock : callable
        Unix time in seconds.

    Attributes
    ----------
    channels : ChannelSet
        Channels of the sources, which may change while the session runs.
    loading : str
        Model that is being loaded, for `Health`.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        scorer: Scorer | None,
        mode: Mode,
        outputs: Outputs,
        *,
        switches: Switches | None = None,
        meter: HealthMeter | None = None,
        broker_state: Callable[[], str] = lambda: "none",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fast = mode.fast
        self.loading = ""
        self._failure: SourceError | None = None
        self._sinks = outputs.sinks
        meter = meter or HealthMeter()
        self._broker_state = broker_state
        self._health_due = Every(_HEALTH_PERIOD_SECONDS)
        self._queue: BoundedQueue[Post] = BoundedQueue(0, "wait" if mode.fast else "refuse")
        self._tagger = Tagger(
            self._queue,
            scorer,
            publish=self._publish,
            publish_noise=self._publish_noise,
            on_end=self._on_end,
            meter=meter,
            in_time=not mode.fast,
            clock=clock,
        )
        shared = SharedParts(mode, self._queue, meter, switches or Switches(), outputs.taps, self._announce)
        self.channels = ChannelSet(inputs, shared, outputs.clips)

    @property
    def failure(self) -> SourceError | None:
        """First error of a source that is not opened again."""
        return self._failure

    @property
    def busy_seconds(self) -> float:
        """Duration of the tagger's present batch; 0 while it waits."""
        return self._tagger.busy_seconds

    @property
    def dropped_windows(self) -> int:
        """Number of windows that were never tagged because inference was late; a fast session waits for it instead."""
        return 0 if self._fast else self.health().dropped_windows

    def start(self, threads: ThreadGroup) -> None:
        """Start the tagger and the readers."""
        threads.start("tagger", self._tag, self._queue.close, patience_seconds=_LAST_BATCH_SECONDS)
        self.channels.start(threads)

    @property
    def awaits_model(self) -> bool:
        """True until there is a model to tag with."""
        return self._tagger.awaits_model

    def set_tagger(self, replacement: Replacement) -> None:
        """Tag with another model from the next batch on; events that go on stay."""
        self._tagger.replace(replacement, lambda: self.channels)

    def health(self) -> Health:
        """Return the health of the program."""
        health = self.channels.health(broker=self._broker_state())
        return replace(
            health,
            losses=total_losses(self._sinks),
            loading=self.loading,
            workers=_worker_health(self._tagger.traffic),
        )

    def report_health(self) -> None:
        """Publish the health, if it is due. Called often, from the main thread."""
        if self._health_due.due():
            self._publish(self.health())

    def _tag(self) -> None:
        try:
            self._tagger.run()
        finally:  # the tagger failed, or a reader was abandoned
            for channel in self.channels:
                self._tagger.stop(channel)
            self._publish(self.health())

    def _on_end(self, channel: Channel) -> None:
        """Note that nothing more comes from a channel."""
        is_over = self.channels.end(channel)
        if channel.failure is not None:
            self._failure = self._failure or channel.failure
            if not is_over:
                _log.warning(
                    "no audio from %s any more (%s); the others go on", channel.name, channel.failure
                )

    def _announce(self, names: Sequence[str]) -> None:
        for sink in self._sinks:
            if isinstance(sink, SourceListSink):
                sink.set_sources(names)

    def _publish(self, message: Message) -> None:
        for sink in self._sinks:
            sink.accept(message)

    def _publish_noise(self, levels: NoiseLevels) -> None:
        for sink in self._sinks:
            if isinstance(sink, NoiseSink):
                sink.accept_noise(levels)


def _worker_health(traffic: Traffic | None) -> WorkerHealth | None:
    """Return the figures of requests to workers as a message."""
    if traffic is None:
        return None
    return WorkerHealth(
        address=traffic.address,
        requests=traffic.requests,
        retries=traffic.retries,
        seconds_p50=traffic.seconds_p50,
        seconds_p95=traffic.seconds_p95,
        problem=traffic.problem,
    )
