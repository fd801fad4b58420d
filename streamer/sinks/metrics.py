"""Figures for Prometheus, over HTTP: the only importer of prometheus_client."""

import logging
import socket
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, get_args
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from ..errors import SettingsError, SinkError
from ..messages import Event, Health, Message, SoundState, SourceHealth, SourceStatus, Tagging, WorkerHealth
from ..noise.octaves import BAND_NAMES

if TYPE_CHECKING:  # loaded on first use
    from prometheus_client.metrics_core import Metric

_log = logging.getLogger(__name__)

_LATENCY_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 2.0
_MOST_CONNECTIONS = 16


class Metrics:
    """Serves the current figures over HTTP; one thread is in `run` until `close` is called.

    It listens as soon as it is created. Any thread may call `accept`, which never blocks.

    Parameters
    ----------
    port : int
        Port to listen on; 0 for any free one.
    host : str
        Address to listen on; by default, only programs on this machine can connect.
    version : str
        Version of Earshot.

    Raises
    ------
    SettingsError
        The library prometheus_client is not installed.
    SinkError
        The address can't be used.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1", version: str = "") -> None:
        try:
            from prometheus_client import (
                CollectorRegistry,
                Counter,
                Gauge,
                Histogram,
                ProcessCollector,
                make_wsgi_app,
            )
        except ImportError:
            raise SettingsError(
                'metrics need a library that is not installed: run pip install -e ".[metrics]" in the checkout, or leave out --metrics-port'
            ) from None
        registry = CollectorRegistry()
        self._latencies = Histogram(
            "earshot_latency_seconds",
            "Time from the capture of a window's last sample to its tagging.",
            ["source"],
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self._up = Gauge(
            "earshot_source_up", "1 while the source delivers audio.", ["source"], registry=registry
        )
        self._events = Counter(
            "earshot_events", "Sounds that started.", ["source", "label"], registry=registry
        )
        self._withdrawn = Counter(
            "earshot_events_withdrawn",
            "Starts of the fast window that were taken back.",
            ["source", "label"],
            registry=registry,
        )
        self._sources: set[str] = set()
        self._figures = _Figures(version)
        registry.register(self._figures)
        ProcessCollector(registry=registry)
        try:
            self._server = _server_class(host)((host, port), _Handler)
        except (OSError, UnicodeError) as error:
            raise SinkError(
                f"metrics can't be served at {_address(host, port)} ({getattr(error, 'strerror', None) or error}): "
                "give another --metrics-port, or check metrics_host"
            ) from error
        self._server.set_app(make_wsgi_app(registry))
        self._server.timeout = _POLL_SECONDS
        self._closing = threading.Event()

    @property
    def address(self) -> str:
        """Address and port, as HOST:PORT."""
        return _address(*self._server.server_address[:2])

    def accept(self, message: Message) -> None:
        """Process a message; from any thread, at once."""
        match message:
            case Tagging():
                if message.latency_seconds is not None:
                    self._latencies.labels(message.source).observe(message.latency_seconds)
            case Event():
                if message.kind == "started":
                    self._events.labels(message.source, message.label).inc()
                elif message.withdrawn:
                    self._withdrawn.labels(message.source, message.label).inc()
            case SourceStatus():
                self._sources.add(message.source)
                self._up.labels(message.source).set(message.online)
            case Health():
                self._figures.health = message

    def set_sources(self, sources: Sequence[str]) -> None:
        """Remove the figures of other sources; from any thread, at once."""
        gone = self._sources.difference(sources)
        self._sources -= gone
        for source in gone:
            for metric in (self._latencies, self._up, self._events, self._withdrawn):
                metric.remove_by_labels({"source": source})
        self._figures.remove(gone)

    def run(self) -> None:
        """Answer requests until `close` is called."""
        _log.info("metrics: http://%s/metrics", self.address)
        with self._server:
            while not self._closing.is_set():
                self._server.handle_request()

    def close(self) -> None:
        """Make `run` return soon; from any thread, repeatedly."""
        self._closing.set()


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE_SECONDS  # for a client that sends nothing

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        _log.debug(format, *args)


class _Server(ThreadingMixIn, WSGIServer):
    """Server with a thread for each connection; where too many are open, a new one replaces the oldest."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open: deque[socket.socket] = deque()
        self._lock = threading.Lock()

    def server_bind(self) -> None:
        """Bind the socket; unlike `HTTPServer`, look up no name for the address."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            oldest = self._open.popleft() if len(self._open) == _MOST_CONNECTIONS else None
            self._open.append(request)
            if oldest is not None:
                with suppress(OSError):  # its client has gone
                    oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock, suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, _request: Any, client_address: Any) -> None:
        _log.debug("request of %s failed", client_address, exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server_class(host: str) -> type[_Server]:
    return _Server6 if ":" in host else _Server


def _address(host: object, port: object) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


class _Figures:
    """Converts the newest health to metrics on request."""

    def __init__(self, version: str) -> None:
        self.health: Health | None = None
        self._version = version

    def remove(self, gone: Collection[str]) -> None:
        if (health := self.health) is not None:
            present = tuple(source for source in health.sources if source.source not in gone)
            self.health = replace(health, sources=present)

    def collect(self) -> Iterator["Metric"]:
        health = self.health
        if health is not None:
            yield from self._program_metrics(health)
            if health.workers is not None:
                yield from _worker_metrics(health.workers)
            yield from _source_metrics(health.sources)
            yield from _noise_metrics(health.sources)

    def _program_metrics(self, health: Health) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        about = {"version": self._version, "model": health.model, "device": health.device}
        yield InfoMetricFamily("earshot", "Version, model and device.", about)
        for name, text, value in (
            (
                "earshot_real_time_factor",
                "Inference time divided by the duration of the audio it covered.",
                health.real_time_factor,
            ),
            ("earshot_tagging_age_seconds", "Seconds since the last tagging.", health.seconds_since_tagging),
            (
                "earshot_broker_connected",
                "1 while connected to the MQTT broker.",
                None if health.broker == "none" else float(health.broker == "connected"),
            ),
        ):
            if value is not None:
                yield GaugeMetricFamily(name, text, value)
        losses = health.losses
        for name, text, count in (
            (
                "earshot_unpublished_taggings",
                "Taggings replaced or too old before MQTT could publish them.",
                losses.unpublished_taggings,
            ),
            (
                "earshot_undelivered_events",
                "Events deleted before the broker acknowledged them.",
                losses.undelivered_events,
            ),
            ("earshot_lost_events", "Events that will never be in the history.", losses.lost_events),
            ("earshot_unlogged_taggings", "Taggings missing from the score log.", losses.unlogged_taggings),
        ):
            yield CounterMetricFamily(name, text, count)
        yield GaugeMetricFamily(
            "earshot_unsaved_events",
            "Events in memory only, because the history can't be written.",
            losses.unsaved_events,
        )


def _worker_metrics(workers: WorkerHealth) -> Iterator["Metric"]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    yield CounterMetricFamily("earshot_worker_requests", "Windows sent to workers.", workers.requests)
    yield CounterMetricFamily(
        "earshot_worker_retries", "Requests to workers repeated on a new connection.", workers.retries
    )
    seconds = GaugeMetricFamily(
        "earshot_worker_seconds", "Time to the answer of a worker, recently.", labels=["quantile"]
    )
    for quantile, value in (("0.5", workers.seconds_p50), ("0.95", workers.seconds_p95)):
        if value is not None:
            seconds.add_metric([quantile], value)
    yield seconds


def _source_metrics(sources: tuple[SourceHealth, ...]) -> Iterator["Metric"]:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

    for name, text, attribute in (
        ("earshot_windows", "Windows tagged.", "windows"),
        ("earshot_windows_cut", "Windows that became due.", "cut_windows"),
        (
            "earshot_windows_dropped",
            "Windows that were not tagged because inference was late.",
            "dropped_windows",
        ),
        (
            "earshot_windows_unanswered",
            "Dropped windows to which no worker answered in time.",
            "unanswered_windows",
        ),
        ("earshot_fast_windows", "Fast windows tagged.", "fast_windows"),
        (
            "earshot_fast_windows_dropped",
            "Fast windows that were not tagged, because inference was late or no worker answered.",
            "dropped_fast_windows",
        ),
        ("earshot_gaps", "Gaps in the audio.", "gaps"),
        ("earshot_overruns", "Gaps while the source was open.", "overruns"),
        ("earshot_repaired_samples", "Samples that were not finite.", "repaired_samples"),
    ):
        counter = CounterMetricFamily(name, text, labels=["source"])
        for source in sources:
            counter.add_metric([source.source], getattr(source, attribute))
        yield counter
    samples = CounterMetricFamily("earshot_samples", "Samples by fate, at 16 kHz.", labels=["source", "fate"])
    state = GaugeMetricFamily(
        "earshot_sound_state", "1 for the current state of the audio.", labels=["source", "state"]
    )
    for source in sources:
        for fate in ("windowed", "lost", "paused", "skipped"):
            samples.add_metric([source.source, fate], getattr(source, f"{fate}_samples"))
        for name in get_args(SoundState):
            state.add_metric([source.source, name], float(source.state == name))
    yield samples
    yield state
    for name, text, attribute, factor in (
        ("earshot_clipped_ratio", "Share of samples at full scale in the last minute.", "clipped_share", 1.0),
        ("earshot_floor_dbfs", "Noise floor.", "floor_dbfs", 1.0),
        ("earshot_clock_drift_ratio", "Clock error; positive if the clock is fast.", "drift_ppm", 1e-6),
        ("earshot_sound_age_seconds", "Seconds since the last audio.", "seconds_since_sound", 1.0),
    ):
        gauge = GaugeMetricFamily(name, text, labels=["source"])
        for source in sources:
            value = getattr(source, attribute)
            if value is not None:
                gauge.add_metric([source.source], factor * value)
        yield gauge


def _noise_metrics(sources: tuple[SourceHealth, ...]) -> Iterator["Metric"]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    levels = GaugeMetricFamily(
        "earshot_noise_db",
        "Noise of the last minute, A-weighted; hour_leq of the last hour.",
        labels=["source", "unit", "figure"],
    )
    bands = GaugeMetricFamily(
        "earshot_noise_band_db",
        "Noise of the last minute in third-octave bands.",
        labels=["source", "unit", "band_hz"],
    )
    for source in sources:
        if (noise := source.noise) is None:
            continue
        for figure in ("leq", "lmax", "l10", "l90", "hour_leq"):
            if (value := getattr(noise, f"{figure}_db")) is not None:
                levels.add_metric([source.source, noise.unit, figure], value)
        unit = "dB" if noise.is_calibrated else "dBFS"
        for name, level in zip(BAND_NAMES, noise.bands_db, strict=False):
            bands.add_metric([source.source, unit, name], level)
    if levels.samples:
        yield levels
        yield bands
