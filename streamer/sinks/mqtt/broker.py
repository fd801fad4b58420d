"""Address and credentials of an MQTT broker, and names in topics, checked before anything is connected."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...errors import SettingsError

_LONGEST_BASE_TOPIC = 200
_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Broker:
    """Address and credentials of an MQTT broker.

    Attributes
    ----------
    host : str
        Name or address; an IPv6 address without brackets.
    port : int
        TCP port.
    tls : bool
        True if the connection is encrypted.
    username, password : str or None
        Credentials; the password is left out of the representation.
    ca_file : Path or None
        PEM file of trusted authorities; those of the system if None.
    certificate_file, key_file : Path or None
        PEM files of the client's certificate; the key may be in the certificate's file.
    is_old : bool
        True if the broker is known not to speak MQTT 5.
    """

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    is_old: bool = False

    @property
    def address(self) -> str:
        """Host and port, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_broker_url(url: str) -> Broker:
    """Parse ``mqtt://[user[:password]@]host[:port]``; ``mqtts://`` is the same over TLS.

    The default port is 1883, or 8883 over TLS. IPv6 addresses need brackets; special characters in the user name and the
    password are percent-encoded.

    Raises
    ------
    SettingsError
        The address is malformed. The message never repeats it, because it may contain a password.
    """
    form = "write it as mqtt://host:1883 or mqtts://user@host:8883"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        raise SettingsError(f"the MQTT address has a malformed host or port: {form}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise SettingsError(f"the MQTT address does not begin with mqtt:// or mqtts://: {form}")
    if not host or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise SettingsError(f"the MQTT address names no host, or has blanks in it: {form}")
    if port == 0:
        raise SettingsError(f"the MQTT address has port 0, where nothing can listen: {form}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise SettingsError(f"the MQTT address goes on after the port: {form}")
    if parts.password is not None and not parts.username:
        raise SettingsError(f"the MQTT address has a password, but no user name: {form}")
    return Broker(
        host=host,
        port=port or _DEFAULT_PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        username=unquote(parts.username) if parts.username else None,
        password=None if parts.password is None else unquote(parts.password),
    )


def check_credentials(broker: Broker) -> None:
    """Check that MQTT can transmit the credentials.

    Raises
    ------
    SettingsError
        The user name or the password is not valid UTF-8.
    """
    for what, credential in (("user name", broker.username), ("password", broker.password)):
        try:
            (credential or "").encode("utf-8")
        except UnicodeEncodeError:  # which would show the credential
            raise SettingsError(f"the MQTT {what} is not valid UTF-8: set it again") from None


def check_node_name(name: str) -> str:
    """Return the name of this machine for topics and identifiers.

    Raises
    ------
    SettingsError
        The name is not 1 to 64 ASCII letters, digits, ``_`` and ``-``.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise SettingsError(
            f"the node name {name!r} can't stand in an MQTT topic: use 1 to 64 letters, digits, '_' or '-'"
        )
    return name


def check_base_topic(topic: str) -> str:
    """Return the prefix of all topics.

    Raises
    ------
    SettingsError
        The topic is empty, longer than 200 characters or not UTF-8, has a wildcard, an empty level or a control character, or
        begins with ``$``.
    """
    if len(topic) > _LONGEST_BASE_TOPIC:
        raise SettingsError(
            f"the MQTT topic {topic[:20]}… is too long to be a base: use at most {_LONGEST_BASE_TOPIC} characters"
        )
    if not re.fullmatch(
        r"[^\x00-\x1f\x7f\ud800-\udfff$+#/][^\x00-\x1f\x7f\ud800-\udfff+#/]*(/[^\x00-\x1f\x7f\ud800-\udfff+#/]+)*",
        topic,
    ):
        raise SettingsError(
            f"the MQTT topic {topic!r} can't be a base: use words with '/' between them, without '+' and '#'"
        )
    return topic
