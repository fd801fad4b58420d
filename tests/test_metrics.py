"""Metrics for Prometheus over real HTTP, and ports that can't be opened."""

import socket
import urllib.error
import urllib.request
from contextlib import ExitStack

import numpy as np
import pytest
from support.metrics import read, samples, serving
from support.system import free_port
from support.waiting import PATIENCE_SECONDS

from streamer.errors import SinkError
from streamer.messages import Event, Health, Losses, SourceHealth, SourceStatus, Tagging
from streamer.sinks.metrics import Metrics

KITCHEN = SourceHealth(
    source="kitchen",
    state="faint",
    samples=1_000,
    windowed_samples=600,
    lost_samples=200,
    paused_samples=150,
    skipped_samples=50,
    gaps=2,
    overruns=1,
    cut_windows=9,
    windows=7,
    dropped_windows=2,
    clipped_share=0.25,
    drift_ppm=-20.0,
    seconds_since_sound=0.5,
)
HEALTH = Health(
    12.0,
    7,
    2,
    1,
    0.0,
    0,
    0.2,
    0.3,
    0.4,
    "tiny",
    "cpu",
    "connected",
    seconds_since_tagging=1.5,
    sources=(KITCHEN,),
    losses=Losses(
        unpublished_taggings=5, undelivered_events=4, unsaved_events=3, lost_events=2, unlogged_taggings=1
    ),
)


def tagging(latency_seconds: float | None) -> Tagging:
    return Tagging("kitchen", 0, 1, 0.0, np.zeros(1, np.float32), 0.0, latency_seconds)


def test_the_figures_of_the_health_are_served() -> None:
    with serving() as metrics:
        metrics.accept(HEALTH)
        found = samples(metrics)
    assert found["earshot_info", "cpu", "tiny", "1.2.3"] == 1
    assert found["earshot_real_time_factor",] == 0.4
    assert found["earshot_tagging_age_seconds",] == 1.5
    assert found["earshot_broker_connected",] == 1
    assert found["earshot_windows_total", "kitchen"] == 7
    assert found["earshot_windows_dropped_total", "kitchen"] == 2
    assert found["earshot_overruns_total", "kitchen"] == 1
    fates = {key[1]: value for key, value in found.items() if key[0] == "earshot_samples_total"}
    assert fates == {"windowed": 600, "lost": 200, "paused": 150, "skipped": 50}
    assert sum(fates.values()) == KITCHEN.samples
    states = {key[2]: value for key, value in found.items() if key[0] == "earshot_sound_state"}
    assert states == {"ok": 0, "silent": 0, "faint": 1, "clipping": 0}
    assert found["earshot_clock_drift_ratio", "kitchen"] == pytest.approx(-20e-6)
    assert ("earshot_floor_dbfs", "kitchen") not in found, "it is not known yet"
    assert found["earshot_unpublished_taggings_total",] == 5
    assert found["earshot_undelivered_events_total",] == 4
    assert found["earshot_unsaved_events",] == 3
    assert found["earshot_lost_events_total",] == 2
    assert found["earshot_unlogged_taggings_total",] == 1


def test_latencies_are_a_histogram_and_events_are_counted_when_they_begin() -> None:
    with serving() as metrics:
        for latency_seconds in (0.04, 0.3, 7.0, None):
            metrics.accept(tagging(latency_seconds))
        for kind in ("started", "ended"):
            metrics.accept(Event("1", kind, 'Dog "x"', "kitchen", 0.5, 0.0))
        metrics.accept(SourceStatus("kitchen", online=True))
        metrics.accept(SourceStatus("garden", online=False))
        found = samples(metrics)
    assert found["earshot_latency_seconds_count", "kitchen"] == 3
    assert found["earshot_latency_seconds_sum", "kitchen"] == pytest.approx(7.34)
    assert [
        found["earshot_latency_seconds_bucket", bound, "kitchen"] for bound in ("0.05", "0.5", "+Inf")
    ] == [1, 2, 3]
    assert found["earshot_events_total", 'Dog "x"', "kitchen"] == 1
    assert (found["earshot_source_up", "kitchen"], found["earshot_source_up", "garden"]) == (1, 0)


def test_before_anything_is_known_the_answer_is_valid() -> None:
    with serving() as metrics:
        assert not [key for key in samples(metrics) if key[0].startswith("earshot_windows")]


def test_counters_never_go_down_from_one_answer_to_the_next() -> None:
    with serving() as metrics:
        metrics.accept(HEALTH)
        first = samples(metrics)
        metrics.accept(tagging(0.1))
        metrics.accept(HEALTH)
        second = samples(metrics)
    totals = [key for key in first if key[0].endswith(("_total", "_count", "_sum"))]
    assert totals
    assert all(second[key] >= first[key] for key in totals)


def test_a_silent_or_broken_client_does_not_block_others_for_long() -> None:
    with serving() as metrics:
        host, _, port = metrics.address.rpartition(":")
        with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as rude:
            rude.sendall(b"\x00\xff\r\n\r\n")
            assert "earshot" in read(metrics)
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(f"http://{metrics.address}/metrics", data=b"x", timeout=10)


def test_slow_clients_block_no_scrape_and_the_oldest_gives_way() -> None:
    with serving() as metrics, ExitStack() as stack:
        host, _, port = metrics.address.rpartition(":")
        slow = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(40)]
        for client in slow[-4:]:
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert "earshot" in read(metrics)
        slow[0].settimeout(PATIENCE_SECONDS)
        assert slow[0].recv(1) == b""


def test_only_this_machine_is_served_unless_another_address_is_given() -> None:
    with serving() as metrics:
        assert metrics.address.startswith("127.0.0.1:")
    with serving("0.0.0.0") as metrics:
        assert metrics.address.startswith("0.0.0.0:")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_an_ipv6_address_is_served_too() -> None:
    with serving("::1") as metrics:
        assert metrics.address.startswith("[::1]:")
        assert "process_" in read(metrics)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_no_name_is_looked_up(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def look_up(name: str = "", *_: object) -> str:
        looked_up.append(name)
        return name

    for name in ("getfqdn", "gethostbyaddr", "gethostbyname", "getnameinfo"):
        monkeypatch.setattr(socket, name, look_up)
    with serving(host) as metrics:
        port = metrics.address.rpartition(":")[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.status == 200
    assert not looked_up


def test_an_occupied_port_is_reported_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            SinkError, match=rf"127\.0\.0\.1:{port} \(Address already in use\): give another --metrics-port"
        ):
            Metrics(port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a..b"])
def test_an_address_of_another_machine_is_reported_in_one_sentence(host: str) -> None:
    with pytest.raises(SinkError, match="check metrics_host"):
        Metrics(free_port(), host=host)


def test_it_may_be_closed_before_it_runs_and_twice() -> None:
    port = free_port()
    metrics = Metrics(port)
    metrics.close()
    metrics.close()
    metrics.run()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1.0)
