"""Running metrics server, and the values that Prometheus reads from it."""

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from streamer.runtime.threads import ThreadGroup
from streamer.sinks.metrics import Metrics
from support.waiting import PATIENCE_SECONDS


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Metrics]:
    """Serve in a thread of the group, as the program does; its end must not take long."""
    metrics = Metrics(0, host=host, version="1.2.3")
    with ThreadGroup(PATIENCE_SECONDS) as threads:
        threads.start("metrics", metrics.run, metrics.close)
        yield metrics
        began = time.monotonic()
    assert time.monotonic() - began < 10.0


def read(metrics: Metrics) -> str:
    with urllib.request.urlopen(f"http://{metrics.address}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return values by name and labels, sorted by the labels' names, as Prometheus' own parser reads them."""
    return {
        (sample.name, *(label for _, label in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(read(metrics))
        for sample in family.samples
    }
