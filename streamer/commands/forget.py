"""Removal of a node from a broker and from Home Assistant."""

from collections.abc import Callable, Sequence

from ..errors import BrokerError, SettingsError, SinkError
from ..settings.schema import Settings
from ..sinks.mqtt.forget import NodeMessages, clear, find_remains
from ..sinks.mqtt.memory import AnnouncedNames


def forget(settings: Settings, confirm: Callable[[Sequence[str]], bool]) -> int:
    """Remove what a node has left at the broker; return the number of removed messages.

    Parameters
    ----------
    settings : Settings
        Broker, node and topics.
    confirm : callable
        Receives the topics, and returns True if they are to be cleared.

    Raises
    ------
    SettingsError
        No broker is set.
    SinkError
        The node is running, or the broker can't be reached.
    """
    broker = settings.broker()
    if broker is None:
        raise SettingsError("no broker is set: give --mqtt mqtt://HOST")
    messages = NodeMessages(settings.node, settings.base_topic, settings.discovery_prefix)
    try:
        remains = find_remains(broker, messages)
        if remains.is_online:
            raise SinkError(
                f"an Earshot is running under {settings.base_topic}: stop it first, or give another --node. If none is running, "
                "the broker has missed its end: clear that with mosquitto_pub -r -n -t "
                f"{settings.base_topic}/status"
            )
        topics = sorted(remains.topics)
        if not topics or not confirm(topics):
            return 0
        clear(broker, topics)
    except BrokerError as error:
        raise SinkError(
            f"MQTT broker {broker.address} {error.complaint}: {error.reason}; check --mqtt with earshot doctor"
        ) from error
    AnnouncedNames(settings.announced_file).leave(settings.node, settings.base_topic)
    return len(topics)
