"""Live sessions of fake sources."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from streamer.events.catalogue import WatchedSound
from streamer.live.channel import ChunkTap, Input, Mode
from streamer.live.session import LiveSession, Outputs
from streamer.messages import Samples
from streamer.sinks import Sink
from streamer.sinks.clips.recorder import Clips
from streamer.sources import Source

from .fakes import HOP, WINDOW, scorer

NOTHING: Mapping[str, Any] = MappingProxyType({})


def live_session(
    sources: Sequence[Source],
    score: Callable[[Samples], Samples] | None = scorer,
    *,
    window_samples: int = WINDOW,
    hop_samples: int = HOP,
    fast_window_samples: int | None = None,
    hops: Mapping[str, int] = NOTHING,
    sounds: Sequence[WatchedSound] = (),
    own_sounds: Mapping[str, Sequence[WatchedSound]] = NOTHING,
    sinks: Sequence[Sink] = (),
    taps: Sequence[ChunkTap] = (),
    clips: Clips | None = None,
    fast: bool = False,
    stay: bool = False,
    limit_samples: int | None = None,
    noise: bool = False,
    **others: Any,
) -> LiveSession:
    """Make a session; by name, sources may have hops and sounds of their own."""
    inputs = [
        Input(source, hops.get(source.name, hop_samples), own_sounds.get(source.name, sounds))
        for source in sources
    ]
    mode = Mode(
        window_samples, fast_window_samples, fast=fast, stay=stay, limit_samples=limit_samples, noise=noise
    )
    return LiveSession(inputs, score, mode, Outputs(sinks, taps, clips), **others)
