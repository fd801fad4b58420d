"""Results over MQTT, for as long as it takes."""

from ..broker import Broker
from .sink import MqttSink

__all__ = ["Broker", "MqttSink"]
