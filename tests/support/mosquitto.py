"""Real Mosquitto on a free loopback port, certificates for it, and a subscriber that keeps all messages."""

import getpass
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from support.system import free_port
from support.waiting import PATIENCE_SECONDS, wait_until

_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


class Authority:
    """Certificate authority that signs certificates.

    Parameters
    ----------
    folder : Path
        Where its files are written.
    name : str
        Different for each authority of a folder.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = folder / f"{name}.key"
        self.certificate = folder / f"{name}.pem"
        self._openssl(
            f"req -x509 {_NEW_KEY} -days 2 -subj /CN={name}",
            *("-keyout", self._key, "-out", self.certificate),
        )

    def sign(self, name: str, *, alternative: str = "IP:127.0.0.1", days: int = 1) -> tuple[Path, Path]:
        """Make a certificate, expired if `days` is negative, and its key; return their files."""
        certificate, key, request = (self._folder / f"{name}.{suffix}" for suffix in ("pem", "key", "csr"))
        extensions = self._folder / f"{name}.cnf"
        extensions.write_text(f"subjectAltName={alternative}\n", encoding="utf-8")
        self._openssl(f"req -new {_NEW_KEY} -subj /CN={name}", "-keyout", key, "-out", request)
        self._openssl(
            f"x509 -req -days {days} -set_serial 0x{uuid4().hex[:16]}",
            *("-in", request, "-CA", self.certificate, "-CAkey", self._key),
            *("-extfile", extensions, "-out", certificate),
        )
        return certificate, key

    @staticmethod
    def _openssl(words: str, *more: str | Path) -> None:
        subprocess.run(
            ["openssl", *words.split(), *more], check=True, capture_output=True, timeout=PATIENCE_SECONDS
        )


class Mosquitto:
    """Broker that can be stopped, started again on its port, and frozen.

    Parameters
    ----------
    folder : Path
        Empty; its configuration is written there.
    username, password : str or None
        The only credentials it accepts, with those of `admit`; without them, everyone is welcome.
    certificate, key : Path or None
        PEM files; with them, it speaks TLS.
    authority : Path or None
        PEM file; with it, it asks for certificates that this authority has signed.
    access : str or None
        Lines of its access list; without, everyone may do everything.
    limits : sequence of str
        More lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        username: str | None = None,
        password: str | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        authority: Path | None = None,
        access: str | None = None,
        limits: Sequence[str] = (),
    ) -> None:
        self._passwords = folder / "passwords"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", f"user {getpass.getuser()}", *limits]
        if username is None or password is None:
            lines.append("allow_anonymous true")
        else:
            self._passwords.touch(mode=0o600)
            self._set_password("-b", username, password)
            lines += ["allow_anonymous false", f"password_file {self._passwords}"]
        if certificate is not None and key is not None:
            lines += [f"certfile {certificate}", f"keyfile {key}"]
        if authority is not None:
            lines += [f"cafile {authority}", "require_certificate true"]
        if access is not None:
            (folder / "access").touch(mode=0o600)
            (folder / "access").write_text(access, encoding="utf-8")
            lines.append(f"acl_file {folder / 'access'}")
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return once it listens."""
        self._process = subprocess.Popen(
            ["mosquitto", "-c", self._configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, "mosquitto to listen")

    def stop(self) -> None:
        """Kill the broker, frozen or not; its retained messages are lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=PATIENCE_SECONDS)
            self._process = None

    def admit(self, username: str, password: str) -> None:
        """Accept these credentials too, running or not."""
        self._set_password("-b", username, password)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def dismiss(self, username: str) -> None:
        """Stop accepting this user from the next start on."""
        self._set_password("-D", username)

    def freeze(self) -> None:
        """Stop answering, with connections left open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _set_password(self, *action: str) -> None:
        option, *who = action
        subprocess.run(
            ["mosquitto_passwd", option, self._passwords, *who],
            check=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "mosquitto ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except ConnectionRefusedError:
            return False
        return True


@dataclass(frozen=True)
class Received:
    """Message as a subscriber received it."""

    topic: str
    text: str
    qos: int
    retained: bool

    def json(self) -> Any:
        """Read the payload."""
        return json.loads(self.text)


class Subscriber:
    """Subscriber that receives everything on a topic filter."""

    def __init__(
        self,
        port: int,
        topic: str = "#",
        *,
        qos: int = 1,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self._topic = topic
        self._qos = qos
        self._changed = threading.Condition()
        self._messages: list[Received] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._ended = threading.Event()
        self._client.on_disconnect = lambda *_: self._ended.set()
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE_SECONDS), "no answer to the subscription"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.reinitialise()  # closes its sockets, which the garbage collector might find first

    def publish(self, topic: str, text: str, *, retain: bool = False, qos: int = 1) -> None:
        """Publish a text, and wait until the broker has it; with `qos` 0, until it is sent."""
        self._client.publish(topic, text, qos=qos, retain=retain).wait_for_publish(PATIENCE_SECONDS)

    def wait_for_end(self) -> None:
        """Wait until the connection has ended, and all that came over it has been received."""
        assert self._ended.wait(PATIENCE_SECONDS), "the connection does not end"

    @property
    def messages(self) -> list[Received]:
        """All messages so far."""
        with self._changed:
            return list(self._messages)

    def wait_for(
        self, topic: str, text: str | None = None, *, timeout_seconds: float = PATIENCE_SECONDS
    ) -> Received:
        """Wait for a message on a topic, return the latest, and delete all messages before it."""
        with self._changed:

            def matching() -> list[int]:
                return [
                    number
                    for number, message in enumerate(self._messages)
                    if message.topic == topic and text in {None, message.text}
                ]

            assert self._changed.wait_for(matching, timeout_seconds), (
                f"nothing on {topic} like {text!r}, only {self._messages}"
            )
            last = matching()[-1]
            message = self._messages[last]
            del self._messages[: last + 1]
            return message

    def wait_for_all(self, texts: Mapping[str, str]) -> None:
        """Wait until these are the newest texts on their topics, in any order; delete nothing."""
        with self._changed:

            def newest() -> dict[str, str]:
                return {message.topic: message.text for message in self._messages}

            assert self._changed.wait_for(lambda: texts.items() <= newest().items(), PATIENCE_SECONDS), (
                f"not {texts}, only {self._messages}"
            )

    def wait_for_several(
        self, topic: str, count: int, *, timeout_seconds: float = PATIENCE_SECONDS
    ) -> list[Received]:
        """Wait for messages on a topic, and return the first of them; delete nothing."""
        with self._changed:

            def come() -> list[Received]:
                return [message for message in self._messages if message.topic == topic]

            assert self._changed.wait_for(lambda: len(come()) >= count, timeout_seconds), (
                f"not {count} on {topic}, only {self._messages}"
            )
            return come()[:count]

    def wait_for_retained(self, topic: str, text: str | None = None) -> Received:
        """Wait for a retained message on a topic; subscribe again for one that was published meanwhile."""
        with self._changed:

            def kept() -> Received | None:
                matching = (m for m in self._messages if m.topic == topic and text in {None, m.text})
                return next((message for message in matching if message.retained), None)

            deadline = time.monotonic() + PATIENCE_SECONDS
            while (message := self._changed.wait_for(kept, 0.5)) is None:
                assert time.monotonic() < deadline, f"{text!r} not kept on {topic}, only {self._messages}"
                self._client.subscribe(self._topic, qos=self._qos)
            return message

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _more: object
    ) -> None:
        if not reason.is_failure:
            client.subscribe(self._topic, qos=self._qos)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self._messages.append(
                Received(message.topic, message.payload.decode(), message.qos, message.retain)
            )
            self._changed.notify_all()
