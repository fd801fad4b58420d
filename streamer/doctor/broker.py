"""Checks of the MQTT broker and of Home Assistant."""

from collections.abc import Iterator
from contextlib import closing

from ..errors import BrokerError, SettingsError
from ..sinks.mqtt.broker import Broker
from ..sinks.mqtt.embedded import DEFAULT_PORT, EmbeddedBroker
from ..sinks.mqtt.probe import ProbeResult, Traces, probe
from .result import CheckResult

_BROKER = "broker"
_HOME = "Home Assistant"
_DEFAULT_ADVICE = {
    "refused": "check the user name, and the password in EARSHOT_MQTT_PASSWORD or mqtt_password_file",
    "unreachable": "check that the broker is running, and that host and port are right",
}


def check_broker(
    broker: Broker, *, node: str, base_topic: str, discovery_prefix: str | None
) -> Iterator[CheckResult]:
    """Publish to a broker, wait for the message to come back, and look for Home Assistant.

    Parameters
    ----------
    broker : Broker
        Broker with its credentials.
    node, base_topic : str
        Name of this machine, and the beginning of its topics.
    discovery_prefix : str or None
        Prefix of the discovery messages; None if discovery is off.
    """
    try:
        result = probe(broker, node=node, base_topic=base_topic, discovery_prefix=discovery_prefix)
    except BrokerError as error:
        reason, _, advice = error.reason.partition(": ")
        yield CheckResult(
            _BROKER,
            "failed",
            f"{broker.address} {error.complaint}: {reason}",
            advice or _DEFAULT_ADVICE[error.kind],
            {"address": broker.address},
        )
        yield _skip_home_assistant("the broker can't be reached")
        return
    except SettingsError as error:
        yield from unusable(error)
        return
    yield _broker_result(result, broker, base_topic)
    if discovery_prefix is None:
        yield _skip_home_assistant("discovery is off")
    elif result.traces is None:
        yield _skip_home_assistant("the broker can't be reached")
    else:
        yield _home_assistant_result(result.traces, discovery_prefix)


def check_embedded(default_port: int = DEFAULT_PORT) -> Iterator[CheckResult]:
    """Check that the embedded broker can listen on the default port."""
    try:
        with closing(EmbeddedBroker(default_port)) as server:
            port = server.broker.port
    except SettingsError as error:
        yield from unusable(error)
        return
    figures = {"port": port}
    if port == default_port:
        yield CheckResult(_BROKER, "ok", f"the embedded broker can listen on port {port}", figures=figures)
    else:
        yield CheckResult(
            _BROKER,
            "warning",
            f"port {default_port} is in use: the embedded broker would listen on another port, such as {port}",
            f"if that is a broker, use it with --mqtt mqtt://127.0.0.1:{default_port}; otherwise stop the program on this port",
            figures,
        )
    yield _skip_home_assistant("the embedded broker is not running yet")


def lacking() -> Iterator[CheckResult]:
    """Report that no broker is set."""
    yield CheckResult(_BROKER, "skipped", "no broker is set; set one with --mqtt")
    yield _skip_home_assistant("no broker is set")


def unusable(error: SettingsError) -> Iterator[CheckResult]:
    """Report that the settings of the broker are invalid."""
    yield CheckResult(_BROKER, "failed", "its settings are invalid", str(error))
    yield _skip_home_assistant("the broker can't be reached")


def _skip_home_assistant(reason: str) -> CheckResult:
    return CheckResult(_HOME, "skipped", reason)


def _broker_result(result: ProbeResult, broker: Broker, base_topic: str) -> CheckResult:
    seconds = result.round_trip_seconds
    user = f" as {broker.username}" if broker.username else ""
    where = f"{broker.address}{' over TLS' if broker.tls else ''}{user}"
    if seconds is None:
        return CheckResult(
            _BROKER,
            "failed",
            f"{where}: connected, but messages under {base_topic} do not come back",
            f"allow this user to read and write {base_topic}/# in the broker's access list",
            {"address": broker.address, "round_trip_seconds": None},
        )
    if result.complaints:
        limit, _, advice = " ".join(result.complaints).rpartition("; ")
        return CheckResult(
            _BROKER,
            "warning",
            f"{where}: {limit}",
            advice,
            {"address": broker.address, "round_trip_seconds": round(seconds, 4)},
        )
    return CheckResult(
        _BROKER,
        "ok",
        f"{where}: messages under {base_topic} come back after {1000 * seconds:.0f} ms",
        figures={"address": broker.address, "round_trip_seconds": round(seconds, 4)},
    )


def _home_assistant_result(traces: Traces, prefix: str) -> CheckResult:
    figures = {
        "reachable": traces.reachable,
        "status": traces.status,
        "announcements": traces.announcements,
    }
    if not traces.reachable:
        return CheckResult(
            _HOME,
            "warning",
            f"messages under {prefix} do not come back",
            f"allow this user to read and write {prefix}/# in the broker's access list, or set discovery to off",
            figures,
        )
    if traces.status == "online":
        return CheckResult(_HOME, "ok", f"{prefix}/status is online", figures=figures)
    if traces.status is not None:
        return CheckResult(
            _HOME,
            "warning",
            f"{prefix}/status is {traces.status[:32]!r}",
            "start Home Assistant; it discovers Earshot when it is back",
            figures,
        )
    if traces.announcements:
        found = f"{traces.announcements} discovery messages of other devices under {prefix}: it is in use"
        return CheckResult(_HOME, "ok", f"{found}, but its status is unknown", figures=figures)
    return CheckResult(
        _HOME,
        "warning",
        f"no messages under {prefix}; it may have no other device at this broker",
        "if you use it, check that its MQTT integration has this broker and prefix; otherwise set discovery to off",
        figures,
    )
