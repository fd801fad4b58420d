"""Whether results reach the MQTT broker, and whether Home Assistant is there to hear of them."""

from collections.abc import Iterator
from contextlib import closing

from ..errors import BrokerError, SettingsError
from ..sinks.mqtt.broker import Broker
from ..sinks.mqtt.embedded import USUAL_PORT, EmbeddedBroker
from ..sinks.mqtt.probe import ProbeResult, Traces, probe
from .result import CheckResult

_BROKER = "broker"
_HOME = "Home Assistant"
_USUAL_ADVICE = {
    "refused": "check the user name, and the password in EARSHOT_MQTT_PASSWORD or mqtt_password_file, with those that "
    "the broker knows",
    "unreachable": "see whether the broker runs there, and whether host and port are right",
}


def check_broker(
    broker: Broker, *, node: str, base_topic: str, discovery_prefix: str | None
) -> Iterator[CheckResult]:
    """Publish to a broker and see whether it comes back; look for Home Assistant there.

    Parameters
    ----------
    broker : Broker
        Where it listens, and as whom to speak to it.
    node, base_topic : str
        Name of this machine, and what its topics begin with.
    discovery_prefix : str or None
        Where Home Assistant is told what there is; None where it is not.
    """
    try:
        answer = probe(broker, node=node, base_topic=base_topic, discovery_prefix=discovery_prefix)
    except BrokerError as error:
        reason, _, advice = error.reason.partition(": ")
        yield CheckResult(
            _BROKER,
            "failed",
            f"{broker.address} {error.complaint}: {reason}",
            advice or _USUAL_ADVICE[error.kind],
            {"address": broker.address},
        )
        yield _unknown("the broker can't be asked")
        return
    except SettingsError as error:
        yield from unusable(error)
        return
    yield _judged(answer, broker, base_topic)
    if discovery_prefix is None:
        yield _unknown("discovery is off")
    elif answer.traces is None:
        yield _unknown("the broker can't be asked")
    else:
        yield _judged_traces(answer.traces, discovery_prefix)


def check_embedded(usual_port: int = USUAL_PORT) -> Iterator[CheckResult]:
    """See whether the program can be its own broker, on the port where clients look for it."""
    try:
        with closing(EmbeddedBroker(usual_port)) as server:
            port = server.broker.port
    except SettingsError as error:
        yield from unusable(error)
        return
    figures = {"port": port}
    if port == usual_port:
        yield CheckResult(_BROKER, "ok", f"the embedded one can listen on port {port}", figures=figures)
    else:
        yield CheckResult(
            _BROKER,
            "warning",
            f"port {usual_port} is taken: the embedded one would listen on another, such as {port}",
            f"if that is a broker, give --mqtt mqtt://127.0.0.1:{usual_port}; else stop what listens there",
            figures,
        )
    yield _unknown("the embedded broker does not run yet")


def lacking() -> Iterator[CheckResult]:
    """Say that no broker is set."""
    yield CheckResult(_BROKER, "skipped", "none is set: --mqtt names one")
    yield _unknown("no broker is set")


def unusable(error: SettingsError) -> Iterator[CheckResult]:
    """Say that what is set for the broker can't be used."""
    yield CheckResult(_BROKER, "failed", "what is set for it can't be used", str(error))
    yield _unknown("the broker can't be asked")


def _unknown(why: str) -> CheckResult:
    return CheckResult(_HOME, "skipped", why)


def _judged(answer: ProbeResult, broker: Broker, base_topic: str) -> CheckResult:
    seconds = answer.round_trip_seconds
    who = f" as {broker.username}" if broker.username else ""
    where = f"{broker.address}{' over TLS' if broker.tls else ''}{who}"
    if seconds is None:
        return CheckResult(
            _BROKER,
            "failed",
            f"{where}: connected, but what is published under {base_topic} does not come back",
            f"let this user read and write {base_topic}/# in the broker's access list",
            {"address": broker.address, "round_trip_seconds": None},
        )
    return CheckResult(
        _BROKER,
        "ok",
        f"{where}: what is published under {base_topic} comes back after {1000 * seconds:.0f} ms",
        figures={"address": broker.address, "round_trip_seconds": round(seconds, 4)},
    )


def _judged_traces(traces: Traces, prefix: str) -> CheckResult:
    figures = {
        "reachable": traces.reachable,
        "status": traces.status,
        "announcements": traces.announcements,
    }
    if not traces.reachable:
        return CheckResult(
            _HOME,
            "warning",
            f"what is published under {prefix} does not come back",
            f"let this user read and write {prefix}/# in the broker's access list, or set discovery to off",
            figures,
        )
    if traces.status == "online":
        return CheckResult(_HOME, "ok", f"{prefix}/status says that it is online", figures=figures)
    if traces.status is not None:
        return CheckResult(
            _HOME,
            "warning",
            f"{prefix}/status says {traces.status[:32]!r}",
            "start Home Assistant: it hears of Earshot when it is back",
            figures,
        )
    if traces.announcements:
        found = f"{traces.announcements} things of others are announced under {prefix}: it is in use"
        return CheckResult(_HOME, "ok", f"{found}, though it does not say whether it runs", figures=figures)
    return CheckResult(
        _HOME,
        "warning",
        f"no sign of it under {prefix}, which proves nothing: it may just have nothing else at this broker",
        "if you use it, see that its integration MQTT has this broker and this prefix; else set discovery to off",
        figures,
    )
