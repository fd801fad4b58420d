"""Samples from programs that connect to a socket."""

import os
import resource
import select
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.system import free_port
from support.waiting import PATIENCE_SECONDS, wait_until

from streamer.errors import NetworkError, SourceError
from streamer.sources import Source, open_source

if TYPE_CHECKING:
    from streamer.messages import AudioChunk

SOUND = np.random.default_rng(0).integers(-9_000, 9_000, 16_000).astype("<i2")


class Reader:
    """Reads a source on a thread of its own, as a session does."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.chunks: list[AudioChunk] = []
        self.ends: Queue[SourceError | None] = Queue()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        try:
            for chunk in self.source.chunks():
                self.chunks.append(chunk)
            self.ends.put(None)
        except SourceError as error:
            self.ends.put(error)

    @property
    def samples(self) -> int:
        return sum(len(chunk.samples) for chunk in self.chunks)


@contextmanager
def reading(source: Source) -> Iterator[Reader]:
    reader = Reader(source)
    reader._thread.start()
    try:
        yield reader
    finally:
        source.close()
        reader._thread.join(PATIENCE_SECONDS)
        assert not reader._thread.is_alive()


@pytest.fixture(params=["tcp", "unix"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"tcp://127.0.0.1:{free_port()}" if request.param == "tcp" else f"unix:{tmp_path / 'door.pcm'}"


def connect(spec: str) -> socket.socket:
    if spec.startswith("tcp:"):
        return socket.create_connection(("127.0.0.1", int(spec.rpartition(":")[2])))
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(spec.removeprefix("unix:"))
    except OSError:
        connection.close()
        raise
    return connection


def connected(spec: str) -> socket.socket:
    """Connect as soon as somebody listens."""
    connections = []

    def connects() -> bool:
        with suppress(OSError):
            connections.append(connect(spec))
        return bool(connections)

    wait_until(connects, "somebody to listen")
    return connections[0]


def test_sound_is_received_and_another_sender_may_follow(spec: str) -> None:
    source = open_source(spec)
    for _ in range(2):
        reader = Reader(source)
        reader._thread.start()
        with connected(spec) as sender:
            sender.sendall(SOUND.tobytes())
            wait_until(lambda: reader.samples == len(SOUND), "all samples")  # noqa: B023
        end = reader.ends.get(timeout=PATIENCE_SECONDS)
        assert end is not None
        assert "has disconnected" in str(end)
        heard = np.concatenate([chunk.samples for chunk in reader.chunks])
        assert np.array_equal(heard, SOUND / np.float32(32_768))


def test_a_sender_that_pauses_counts_as_failed_and_continues_later(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.sources.pcm._SILENT_SECONDS", 0.3)
    source = open_source(spec)
    first, second = Reader(source), Reader(source)
    first._thread.start()
    with connected(spec) as sender:
        sender.sendall(SOUND.tobytes())
        end = first.ends.get(timeout=PATIENCE_SECONDS)
        assert "has delivered nothing for 0.3 s" in str(end)
        second._thread.start()
        sender.sendall(SOUND.tobytes())
        wait_until(lambda: second.samples == len(SOUND), "the samples after the pause")
    assert first.samples == len(SOUND)


def test_a_sender_that_pauses_is_disconnected_when_the_source_is_closed(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.sources.pcm._SILENT_SECONDS", 0.3)
    reader = Reader(open_source(spec))
    reader._thread.start()
    with connected(spec) as sender:
        sender.sendall(SOUND.tobytes())
        assert "nothing" in str(reader.ends.get(timeout=PATIENCE_SECONDS))
        reader._thread.join(PATIENCE_SECONDS)
        reader.source.close()
        sender.settimeout(PATIENCE_SECONDS)
        assert sender.recv(1) == b""


def test_only_one_sender_is_accepted_at_a_time(spec: str) -> None:
    with reading(open_source(spec)) as reader, connected(spec) as sender:
        sender.sendall(SOUND.tobytes())
        wait_until(lambda: reader.samples == len(SOUND), "all samples")
        with pytest.raises(OSError, match=r"refused|No such file"):
            connect(spec)


@pytest.mark.parametrize("sends", [False, True])
def test_closing_ends_the_source_at_once(spec: str, *, sends: bool) -> None:
    with reading(open_source(spec)) as reader:
        time.sleep(0.1)
        with connected(spec) if sends else socket.socket():
            began = time.monotonic()
            reader.source.close()
            assert reader.ends.get(timeout=PATIENCE_SECONDS) is None
            assert time.monotonic() - began < 10.0


def test_a_wav_header_is_not_sound(spec: str) -> None:
    with reading(open_source(f"door={spec}")) as reader, connected(spec) as sender:
        sender.sendall(b"RIFF\x24\x00\x00\x00WAVE")
        sender.shutdown(socket.SHUT_WR)
        assert "door is a WAV file" in str(reader.ends.get(timeout=PATIENCE_SECONDS))


def test_without_a_free_descriptor_the_source_fails_and_works_again_later(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(spec)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listening = threading.Event()
    poll = select.poll

    def polling() -> select.poll:
        listening.set()
        return poll()

    monkeypatch.setattr(select, "poll", polling)
    with (
        reading(source) as reader,
        socket.socket(socket.AF_UNIX if spec.startswith("unix") else socket.AF_INET) as sender,
    ):
        assert listening.wait(PATIENCE_SECONDS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            sender.connect(
                spec.removeprefix("unix:")
                if spec.startswith("unix")
                else ("127.0.0.1", int(spec.rpartition(":")[2]))
            )
            end = reader.ends.get(timeout=PATIENCE_SECONDS)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(end, NetworkError)
    assert "can't accept a connection" in str(end)
    assert "raise the limit of open files" in str(end)


def test_a_descriptor_beyond_the_reach_of_select_serves_as_well(spec: str) -> None:
    source = open_source(spec)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft not in {resource.RLIM_INFINITY, hard}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < 1_024:
        taken.append(os.dup(taken[0]))
    try:
        with reading(source) as reader, connected(spec) as sender:
            sender.sendall(SOUND.tobytes())
            wait_until(lambda: reader.samples == len(SOUND), "all samples")
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_socket_gets_another_name_while_a_source_listens_on_it(spec: str) -> None:
    with reading(open_source(f"door={spec}")) as reader, connected(spec) as sender:
        assert open_source(spec, name="front door", in_use=True).name == "front door"
        sender.sendall(SOUND.tobytes())
        wait_until(lambda: reader.samples == len(SOUND), "all samples")


def test_a_unix_socket_is_its_owners_alone_and_goes_with_the_source(tmp_path: Path) -> None:
    path = tmp_path / "door.pcm"
    with reading(open_source(f"unix:{path}")) as reader:
        assert reader.source.name == "door"
        wait_until(path.exists, "the socket")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(stale))
    open_source(f"unix:{stale}")
    used = tmp_path / "used"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(used))
        other.listen()
        with pytest.raises(NetworkError, match="another program listens on"):
            open_source(f"unix:{used}")
    text = tmp_path / "text"
    text.write_text("precious")
    with pytest.raises(NetworkError, match="is not a socket"):
        open_source(f"unix:{text}")
    assert text.read_text() == "precious"


def test_an_occupied_port_is_reported_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        spec = f"tcp://localhost:{taken.getsockname()[1]}"
        with pytest.raises(
            NetworkError, match=r"can't listen on tcp://[\d.:]+ \(Address already in use\); give"
        ):
            open_source(spec)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("tcp://0.0.0.0:7000", "would let other machines"),
        ("tcp://192.168.1.2:7000", "would let other machines"),
        ("tcp://camera.local:7000", "would let other machines"),
        ("tcp://127.0.0.1", "is not a port"),
        ("tcp://127.0.0.1:70000", "is not a port"),
        ("unix:door.pcm", "not an absolute path"),
        ("unix:/nowhere/at/all", "can't listen on"),
        (f"unix:/{'x' * 200}", "can't listen on"),
    ],
)
def test_a_socket_of_others_is_refused(spec: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence) as caught:
        open_source(spec)
    assert "\n" not in str(caught.value)


def test_the_loopback_has_two_families() -> None:
    source = open_source(f"tcp://[::1]:{free_port()}")
    assert source.name.startswith("port ")
