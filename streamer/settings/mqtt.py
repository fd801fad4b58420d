"""Settings of MQTT and Home Assistant."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from ..errors import SettingsError
from ..runtime.files import read_text
from ..sinks.mqtt.broker import Broker, check_base_topic, check_node_name, parse_broker_url
from .fields import FrozenModel, UserPath, default_node, expand


class MqttSettings(FrozenModel):
    """Settings of MQTT and Home Assistant."""

    node: Annotated[str, AfterValidator(check_node_name)] = Field(default_factory=default_node)
    mqtt: str | None = None
    mqtt_topic: Annotated[str, AfterValidator(check_base_topic)] | None = None
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_password_file: UserPath | None = None
    mqtt_ca: UserPath | None = None
    mqtt_certificate: UserPath | None = None
    mqtt_key: UserPath | None = None
    discovery: Literal["device", "component", "off"] = "device"
    discovery_prefix: Annotated[str, AfterValidator(check_base_topic)] = "homeassistant"

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if self.mqtt_password is not None and self.mqtt_password_file is not None:
            raise ValueError("give mqtt_password or mqtt_password_file, not both")
        if self.mqtt_key is not None and self.mqtt_certificate is None:
            raise ValueError("mqtt_key is the key of a certificate: give mqtt_certificate too")
        return self

    @property
    def base_topic(self) -> str:
        """Beginning of all topics of this node."""
        return self.mqtt_topic or f"earshot/{self.node}"

    @property
    def embedded_broker(self) -> bool:
        """True if the program is its own MQTT broker."""
        return self.mqtt == "embedded"

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """Files that only their owner should be able to read."""
        files = (expand(self.mqtt_password_file), expand(self.mqtt_key))
        return tuple(file for file in files if file is not None)

    def broker(self) -> Broker | None:
        """Return the MQTT broker with its credentials; None without a broker, or with the embedded one.

        Raises
        ------
        SettingsError
            The URL is malformed, the password file can't be read, or there are TLS settings without TLS.
        """
        if self.mqtt is None or self.embedded_broker:
            return None
        broker = parse_broker_url(self.mqtt)
        if not broker.tls and (self.mqtt_ca or self.mqtt_certificate):
            raise SettingsError("mqtt_ca and mqtt_certificate need TLS: write the address as mqtts://HOST")
        return replace(
            broker,
            username=self.mqtt_username or broker.username,
            password=self._password() or broker.password,
            ca_file=expand(self.mqtt_ca),
            certificate_file=expand(self.mqtt_certificate),
            key_file=expand(self.mqtt_key),
        )

    def _password(self) -> str | None:
        if self.mqtt_password_file is None:
            return None if self.mqtt_password is None else self.mqtt_password.get_secret_value()
        try:
            return read_text(self.mqtt_password_file.expanduser()).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the password file {self.mqtt_password_file} can't be read: check mqtt_password_file"
            ) from error
