"""Streams from real servers over real connections, the servers' bad days included."""

import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.decoders import assert_bounded, decoders, measured
from support.gaps import end_of, lost_before
from support.hostile import STATIONS
from support.mosquitto import Authority
from support.program import ChildProcess
from support.session import live_session
from support.sound_servers import (
    Answer,
    HttpServer,
    RtspServer,
    behind_password,
    encoded,
    file,
    silence,
    status,
    stream,
)
from support.streams import PASSWORD, SECONDS, TONE, heard, joined, level, listened, refusal, source_at
from support.system import free_port, require
from support.waiting import wait_until

from streamer.errors import NetworkError, SourceError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Message, SourceStatus
from streamer.runtime.threads import ThreadGroup
from streamer.sources import open_source
from streamer.sources.network import NetworkStream
from streamer.sources.playout import Playout
from streamer.sources.url import has_secret, parse_url, redirected, without_secrets

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def mp3() -> bytes:
    """Two seconds without a header that would tell so."""
    return encoded("mp3", "libmp3lame", TONE, 44_100, options={"write_xing": "0"})


# HTTP


@pytest.mark.parametrize(
    ("form", "codec", "kind"),
    [
        ("mp3", "libmp3lame", "audio/mpeg"),
        ("adts", "aac", "audio/aac"),
        ("ogg", "libopus", "audio/ogg"),
        ("wav", "pcm_s16le", "audio/wav"),
    ],
)
def test_a_file_is_played_in_real_time_to_its_end(form: str, codec: str, kind: str) -> None:
    rate_hz = 48_000 if codec == "libopus" else 44_100
    sound = np.concatenate([TONE, TONE])[: int(rate_hz * SECONDS)]
    with HttpServer({"/file": file(encoded(form, codec, sound, rate_hz), kind)}) as server:
        began = time.monotonic()
        chunks = listened(server.url("/file"))
        took = time.monotonic() - began
    samples = joined(chunks)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(SECONDS, abs=0.15)
    assert took > SECONDS - 0.6
    assert level(samples[4_000:-4_000]) == pytest.approx(0.3 / math.sqrt(2), rel=0.1)


def test_a_radio_station_is_read_without_gaps(mp3: bytes) -> None:
    with HttpServer({"/radio": stream(mp3 * 10, len(mp3) / SECONDS, burst=len(mp3))}) as server:
        chunks = listened(server.url("/radio"), seconds=3.0)
    assert not any(lost_before(chunks))
    pace = (chunks[-1].captured_at - chunks[0].captured_at) / 3.0
    assert pace == pytest.approx(1.0, abs=0.05)


def test_a_redirection_is_followed_but_not_to_a_file(mp3: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.mp3").write_bytes(mp3)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{tmp_path}/x.mp3\n#EXT-X-ENDLIST\n"
    answers = {
        "/file": file(mp3),
        "/there": status(302, Location="/file"),
        "/passwords": status(302, Location=f"file://{tmp_path}/x.mp3"),
        "/list.m3u8": file(playlist.encode(), "application/vnd.apple.mpegurl"),
    }
    with HttpServer(answers) as server:
        assert listened(server.url("/there"), seconds=0.2)
        refusal(server.url("/passwords"))
        refusal(server.url("/list.m3u8"))


def test_a_playlist_of_pieces_is_one_stream() -> None:
    pieces = {}
    for number in range(2):
        pieces[f"/{number}.ts"] = file(encoded("mpegts", "aac", TONE, 44_100), "video/mp2t")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + "".join(
        f"#EXT-X-DISCONTINUITY\n#EXTINF:2,\n{number}.ts\n" for number in range(2)
    )
    answers = {"/list.m3u8": file(f"{playlist}#EXT-X-ENDLIST\n".encode(), "application/x-mpegurl"), **pieces}
    with HttpServer(answers) as server:
        assert len(joined(listened(server.url("/list.m3u8")))) / SAMPLE_RATE_HZ == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("name", ["s0.bin", "segment?n=0", "piece.php", "0"])
@pytest.mark.parametrize("list_name", ["/list.m3u8", "/play"])
def test_a_playlist_and_its_pieces_may_have_any_name(name: str, list_name: str) -> None:
    piece = file(encoded("mpegts", "aac", TONE, 44_100), "video/mp2t")
    playlist = file(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{name}\n#EXT-X-ENDLIST\n".encode())
    with HttpServer({list_name: playlist, f"/{name.partition('?')[0]}": piece}) as server:
        assert len(joined(listened(server.url(list_name)))) / SAMPLE_RATE_HZ == pytest.approx(2.0, abs=0.3)


def test_a_word_at_the_end_selects_an_audio_track() -> None:
    film = encoded("matroska", "pcm_s16le", TONE, 44_100, tracks=2)
    with HttpServer({"/film": file(film, "video/x-matroska")}) as server:
        loud = level(joined(listened(server.url("/film"), seconds=1.0)))
        quiet = level(joined(listened(server.url("/film#track=2"), seconds=1.0)))
        assert "has no audio track 3; choose one from #track=1 to #track=2" in refusal(
            server.url("/film#track=3")
        )
    assert quiet == pytest.approx(loud / 2, rel=0.1)


def test_a_number_at_the_end_selects_a_channel() -> None:
    stereo = np.stack([TONE, 0.1 * TONE])
    with HttpServer({"/stereo": file(encoded("wav", "pcm_s16le", stereo, 44_100), "audio/wav")}) as server:
        levels = [
            level(joined(listened(server.url(f"/stereo{end}"), seconds=1.0))) for end in ("#1", "#2", "")
        ]
        assert "has no channel #3; choose one from #1 to #2" in refusal(server.url("/stereo#3"))
    assert levels[1] == pytest.approx(levels[0] / 10, rel=0.05)
    assert levels[2] == pytest.approx(levels[0] * 0.55, rel=0.05)


STATUSES = {
    400: "does not understand the request (400): check the whole URL",
    401: "refuses the user name and password (401): check those in the URL",
    403: "denies access (403): check the permissions of this user",
    404: "has nothing at this path (404): check the path of the URL",
    405: "does not allow reading this path (405)",
    410: "has removed this stream (410): look up its new URL",
    418: "refuses the request (418): check the URL",
    429: "refuses because of too many requests (429): close other players",
    451: "for legal reasons (451): choose another station",
    500: "has failed (500): restart it",
    503: "is overloaded or just starting (503)",
    599: "has failed (599): restart it",
}


def test_a_status_of_a_server_is_explained_by_its_own_sentence() -> None:
    with HttpServer({f"/{code}": status(code) for code in STATUSES}) as server:
        for code, sentence in STATUSES.items():
            url = server.url(f"/{code}?token={PASSWORD}", credentials=f"ann:{PASSWORD}@")
            assert sentence in refusal(url)
        assert "requires a user name and password (401): write them into the URL" in refusal(
            server.url("/401")
        )


CONTENTS = {
    "/page": (
        b"<!DOCTYPE html><html>Welcome to this camera</html>" * 99,
        "sends a web page instead of audio",
    ),
    "/pls": (b"[playlist]\nFile1=http://radio/x\n", "sends a playlist that is not HLS"),
    "/m3u": (b"http://radio/x.mp3\n", "sends a playlist that is not HLS"),
    "/hls": (
        b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n/nothing\n#EXT-X-ENDLIST\n",
        "whose segments can't be read",
    ),
    "/dash": (b"<?xml version='1.0'?><MPD></MPD>", "sends a DASH playlist"),
    "/json": (b'{"error": "no such station"}', "sends text instead of audio"),
    "/jpeg": (b"\xff\xd8\xff\xe0" + bytes(5_000), "sends a picture instead of audio"),
    "/self": (b"ffconcat version 1.0\nfile self\n", "sends a playlist that is not HLS"),
    "/empty": (b"", "sends nothing instead of audio"),
    "/unknown": (bytes(range(1, 256)), "does not send audio in a known format"),
}


def test_content_that_is_no_audio_is_named() -> None:
    with HttpServer({path: file(data, "audio/mpeg") for path, (data, _) in CONTENTS.items()}) as server:
        for path, (_, sentence) in CONTENTS.items():
            assert sentence in refusal(server.url(path, credentials=f"ann:{PASSWORD}@"))


def test_a_server_that_does_not_answer_is_reported_in_one_sentence() -> None:
    with HttpServer({"/mute": silence}) as server:
        assert "does not answer" in refusal(server.url("/mute", credentials=f"ann:{PASSWORD}@"), seconds=1.5)


def test_a_camera_that_does_not_answer_is_not_told_to_change_its_codec() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        assert "does not answer" in refusal(f"rtsp://ann:{PASSWORD}@127.0.0.1:{port}/live", seconds=1.5)


def test_the_right_password_opens_the_stream(mp3: bytes) -> None:
    with HttpServer({"/file": behind_password("ann", PASSWORD, file(mp3))}) as server:
        assert listened(server.url("/file", credentials=f"ann:{PASSWORD}@"), seconds=0.2)


def test_a_missing_host_is_reported_in_one_sentence() -> None:
    assert "can't be reached (Connection refused)" in refusal(
        f"http://ann:{PASSWORD}@127.0.0.1:{free_port()}/x"
    )
    assert "there is no such host" in refusal(f"rtsp://ann:{PASSWORD}@nowhere.invalid/x")


def test_a_stream_that_stalls_or_ends_has_failed(mp3: bytes) -> None:
    pace = len(mp3) / SECONDS
    answers = {
        "/stall": stream(mp3 * 9, pace, burst=len(mp3), after=lambda sent: 60 if sent > len(mp3) else 0),
        "/end": stream(mp3 * 9, pace, burst=len(mp3), after=lambda sent: None if sent > len(mp3) else 0),
    }
    with HttpServer(answers) as server:
        for path, sentence in (("/stall", "sends no audio"), ("/end", "check that it still sends")):
            chunks: list[AudioChunk] = []
            with pytest.raises(NetworkError, match=sentence):
                heard(source_at(server.url(path), seconds=3.0), chunks)
            assert len(joined(chunks)) / SAMPLE_RATE_HZ > 1.5, "what came before is delivered"


def test_closing_ends_a_stream_at_once_whatever_the_server_does(mp3: bytes) -> None:
    answers = {"/mute": silence, "/radio": stream(mp3 * 10, len(mp3) / SECONDS, burst=len(mp3))}
    with HttpServer(answers) as server:
        for path in answers:
            source = NetworkStream("s", parse_url(server.url(path)))
            reader = threading.Thread(target=lambda source=source: list(source.chunks()))
            reader.start()
            wait_until(lambda: path in server.asked, "the server to be asked")  # noqa: B023
            time.sleep(0.4)
            source.close()
            reader.join(5)
            assert not reader.is_alive(), "the server may take 10 s to answer"
            assert list(source.chunks()) == []


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    require("openssl")
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.system
def test_certificates_are_checked(authority: Authority, mp3: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    right, wrong = authority.sign("right"), authority.sign("wrong", alternative="DNS:elsewhere.example")
    with (
        HttpServer({"/file": file(mp3)}, certificate=right) as radio,
        RtspServer(certificate=right) as camera,
        HttpServer({"/file": file(mp3)}, certificate=wrong) as other,
        RtspServer(certificate=wrong) as other_camera,
    ):
        urls = [radio.url("/file", scheme="https"), camera.url(scheme="rtsps")]
        for url in urls:
            assert "not signed by an authority that this machine trusts" in refusal(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        for url in urls:
            assert listened(url, seconds=0.2)
        for url in (other.url("/file", scheme="https"), other_camera.url(scheme="rtsps")):
            assert "has a certificate that is not for 127.0.0.1" in refusal(url)
    with HttpServer({"/file": file(mp3)}) as plain:
        assert "does not use TLS" in refusal(plain.url("/file", scheme="https"))


# RTSP


def test_a_camera_is_heard() -> None:
    with RtspServer() as camera:
        samples = joined(listened(camera.url(), seconds=1.0))
    assert level(samples) == pytest.approx(0.5, rel=0.1)
    assert camera.requests[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_a_camera_with_two_microphones_has_two_sound_tracks() -> None:
    with RtspServer((0.5, 0.1)) as camera:
        assert level(joined(listened(camera.url(), seconds=0.5))) == pytest.approx(0.5, rel=0.1)
        assert level(joined(listened(f"{camera.url()}#track=2", seconds=0.5))) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("refused", ["461 Unsupported Transport", "406 Not Acceptable"])
def test_a_camera_that_sends_over_udp_only_is_heard(refused: str) -> None:
    with RtspServer(udp_only=refused) as camera:
        samples = joined(listened(camera.url(), seconds=1.0))
    assert level(samples) == pytest.approx(0.5, rel=0.1)
    assert camera.requests.count("SETUP") == 2, "TCP is tried first"


def test_a_camera_asks_for_its_password() -> None:
    with RtspServer(password="right") as camera:
        assert "requires a user name and password (401): write them into the URL" in refusal(camera.url())
        assert "refuses the user name and password" in refusal(camera.url(credentials=f"camera:{PASSWORD}@"))
        assert listened(camera.url(credentials="camera:right@"), seconds=0.2)


@pytest.mark.parametrize(
    ("method", "answer", "sentence"),
    [
        ("DESCRIBE", "404 Stream Not Found", "look up the path of its stream in its manual"),
        ("DESCRIBE", "451 Parameter Not Understood", "does not understand a parameter"),
        ("SETUP", "453 Not Enough Bandwidth", "has no bandwidth left (453): close other viewers"),
        ("PLAY", "454 Session Not Found", "has lost the session (454)"),
        ("SETUP", "461 Unsupported Transport", "neither over TCP nor over UDP (461)"),
        ("DESCRIBE", "503 Service Unavailable", "is overloaded or just starting (503)"),
    ],
)
def test_a_status_of_a_camera_is_explained_by_its_own_sentence(
    method: str, answer: str, sentence: str
) -> None:
    with RtspServer(statuses={method: answer}) as camera:
        assert sentence in refusal(camera.url())


def test_the_password_of_a_camera_is_sent_to_no_other_server() -> None:
    with (
        RtspServer(password="right") as other,
        RtspServer(statuses={"DESCRIBE": "302 Moved"}, location=other.url()) as camera,
    ):
        sentence = refusal(camera.url(credentials=f"camera:{PASSWORD}@"))
    assert f"redirects to rtsp://127.0.0.1:{other.port}" in sentence
    assert "use that address, with the password, if you trust it" in sentence
    assert not other.requests


def test_a_camera_without_a_password_may_redirect() -> None:
    with (
        RtspServer() as other,
        RtspServer(statuses={"DESCRIBE": "302 Moved"}, location=other.url()) as camera,
    ):
        assert listened(camera.url(), seconds=0.2)
    with RtspServer(password="x", statuses={"DESCRIBE": "302 Moved"}) as camera:
        camera.location = camera.url()
        assert "redirects in a circle" in refusal(camera.url(credentials="camera:x@"))


@pytest.mark.parametrize(
    ("url", "location", "result"),
    [
        ("rtsp://u:p@a/1", "rtsp://a/2", "rtsp://u:p@a/2"),
        ("rtsp://u:p@a/1", "/2", "rtsp://u:p@a/2"),
        ("rtsp://u:p@a/1", "rtsp://a:554/2", "rtsp://u:p@a:554/2"),
        ("rtsp://u:p@a/1", "rtsp://v:q@b/2", "rtsp://v:q@b/2"),
        ("rtsp://a/1", "rtsps://b/2", "rtsps://b/2"),
        ("rtsp://u:p@a/1", "rtsp://a:555/2", "is not sent the password of a"),
        ("rtsp://u:p@a/1", "rtsp://b/2?token=q", "redirects to rtsp://b, which"),
        ("rtsps://a/1", "rtsp://a/2", "is another kind of connection"),
        ("rtsp://a/1", "http://a/2", "is another kind of connection"),
        ("rtsp://a/1", "rtsp://a:99999/", "redirects to an address that is invalid"),
    ],
)
def test_credentials_stay_with_the_server_that_they_were_given_for(
    url: str, location: str, result: str
) -> None:
    if "://" in result and " " not in result:
        assert redirected(parse_url(url), location).url == result
    else:
        with pytest.raises(NetworkError, match=result):
            redirected(parse_url(url), location)


def test_the_password_of_a_station_is_sent_to_no_other_server() -> None:
    asked: list[str | None] = []

    def piece(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers.get("Authorization"))
        file(encoded("mpegts", "aac", TONE, 44_100), "video/mp2t")(handler)

    def playlist(name: str) -> Answer:
        return file(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{name}\n#EXT-X-ENDLIST\n".encode())

    with HttpServer({"/0.ts": piece}) as other:
        answers = {
            "/moved": status(302, Location=other.url("/0.ts")),
            "/there": status(302, Location=f"//127.0.0.1:{other.port}/0.ts"),
            "/list.m3u8": playlist(other.url("/0.ts")),
            "/list2.m3u8": playlist(f"//127.0.0.1:{other.port}/0.ts"),
        }
        behind = {path: behind_password("ann", PASSWORD, answer) for path, answer in answers.items()}
        with HttpServer(behind) as server:
            for path in answers:
                assert listened(server.url(path, credentials=f"ann:{PASSWORD}@"), seconds=0.2)
    assert len(asked) >= len(answers)
    assert set(asked) == {None}


def test_a_camera_without_a_microphone_is_reported_in_one_sentence() -> None:
    with RtspServer(()) as camera:
        assert "has no audio track" in refusal(camera.url())


def test_what_a_camera_skips_is_a_jump_of_the_index() -> None:
    with RtspServer(pause=lambda packets: 60 if packets == 25 else 0) as camera:
        chunks = listened(camera.url(), seconds=3.0)
    gaps = [lost for lost in lost_before(chunks) if lost]
    assert gaps == [pytest.approx(60 * 320, abs=5)]
    began = [chunk.captured_at - chunk.start_sample / SAMPLE_RATE_HZ for chunk in chunks]
    assert max(began) - min(began) < 0.05, "the time of index 0 stays"


def test_a_camera_that_stalls_has_failed() -> None:
    with RtspServer(pause=lambda packets: math.inf if packets > 25 else 0) as camera:
        assert "check that it" in refusal(camera.url(), seconds=3.0)


# Hostile servers


@pytest.mark.parametrize("path", STATIONS)
def test_a_hostile_server_costs_bounded_memory_and_descriptors(path: str) -> None:
    before = set(decoders(psutil.Process()))
    with HttpServer(STATIONS) as server, measured() as most:
        refusal(server.url(path), seconds=20.0)
    assert_bounded(most)
    assert set(decoders(psutil.Process())) <= before


def test_a_stream_ends_alone_if_its_process_is_killed(mp3: bytes) -> None:
    answers = {"/radio": stream(mp3 * 10, len(mp3) / SECONDS, burst=len(mp3))}
    with HttpServer(answers) as server:
        chunks: list[AudioChunk] = []
        before = set(decoders(psutil.Process()))
        source = source_at(server.url("/radio")).chunks()
        chunks.append(next(source))
        for process in set(decoders(psutil.Process())) - before:
            process.kill()
        with pytest.raises(NetworkError, match=r"sends what crashes FFmpeg \(SIGKILL\)"):
            chunks.extend(source)


def test_the_process_of_a_stream_ends_with_the_program(mp3: bytes) -> None:
    code = "from streamer.sources import open_source\nfor _ in open_source({!r}).chunks(): print('.', flush=True)"
    with HttpServer({"/radio": stream(mp3 * 10, len(mp3) / SECONDS, burst=len(mp3))}) as server:
        with ChildProcess[bytes](
            [sys.executable, "-c", code.format(server.url("/radio"))], cwd=ROOT, stdout=subprocess.PIPE
        ) as program:
            assert program.stdout is not None
            program.stdout.readline()
            (child,) = decoders(psutil.Process(program.pid))
            program.kill()
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "its end")


# What is due when


def test_a_burst_is_played_at_the_pace_of_its_sound_or_a_little_faster() -> None:
    playout = Playout()
    for number in range(100):
        assert playout.schedule(0.1, None, 5.0) == 0.0
        assert playout.due == pytest.approx(5.0 + number * 0.1, abs=0.02)
    assert playout.due < 5.0 + 99 * 0.1


def test_sound_that_comes_late_and_then_catches_up_is_not_lost() -> None:
    playout, lost = Playout(), 0.0
    for number in range(1000):
        arrives = 0.1 * number
        lost += playout.schedule(0.1, None, arrives + (5.0 if 200 <= number < 240 else 0.0))
    assert lost == 0.0


def test_sound_that_stays_late_was_lost() -> None:
    playout, lost = Playout(), 0.0
    for number in range(1000):
        lost += playout.schedule(0.1, None, 0.1 * number + (5.0 if number >= 200 else 0.0))
    assert lost == pytest.approx(5.0, abs=0.1)


def test_time_stamps_that_jump_without_the_clock_start_a_new_count() -> None:
    for jump in (3_600.0, 20.0, -7.0):
        playout = Playout()
        lost = [playout.schedule(0.1, 0.1 * n + (jump if n >= 50 else 0.0), 0.1 * n) for n in range(100)]
        assert sum(lost) == 0.0


def test_a_fast_sender_does_not_pile_up_and_a_slow_one_is_followed() -> None:
    for pace in (1.0001, 0.9999):
        playout, lost = Playout(), 0.0
        for number in range(36_000 * 6):
            lost += playout.schedule(0.1, 0.1 * number, 0.1 * number / pace)
        assert lost == 0.0
        assert playout.due == pytest.approx(0.1 * 36_000 * 6 / pace, abs=0.3)


# In a session


class Memory:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ended: list[int] = []

    def accept(self, message: Message) -> None:
        self.messages.append(message)

    def statuses(self) -> list[tuple[bool, str]]:
        return [
            (message.online, message.reason) for message in self.messages if isinstance(message, SourceStatus)
        ]


@contextmanager
def listening(url: str) -> Iterator[tuple[Memory, list[AudioChunk]]]:
    memory, chunks = Memory(), list[AudioChunk]()
    session = live_session(
        [source_at(url)],
        lambda batch: np.zeros((len(batch), 2), np.float32),
        window_samples=16_000,
        hop_samples=1_600,
        sinks=[memory],
        taps=[lambda _name, chunk: chunks.append(chunk)],
    )
    with ThreadGroup() as threads:
        session.start(threads)
        yield memory, chunks
        assert threads.is_running("tagger")


@pytest.mark.parametrize("kind", ["radio", "camera"])
def test_a_server_that_is_killed_and_comes_back_is_heard_again_behind_the_gap(kind: str, mp3: bytes) -> None:
    port = free_port()

    def server() -> HttpServer | RtspServer:
        if kind == "camera":
            return RtspServer(port=port)
        return HttpServer({"/live": stream(mp3 * 20, len(mp3) / SECONDS, burst=len(mp3))}, port=port)

    url = f"{'rtsp' if kind == 'camera' else 'http'}://ann:{PASSWORD}@127.0.0.1:{port}/live"
    with listening(url) as (memory, chunks):
        wait_until(lambda: len(memory.statuses()) == 1, "the server to be missed")
        assert "can't be reached" in memory.statuses()[0][1]
        with server():
            wait_until(lambda: memory.statuses()[-1] == (True, "") and len(chunks) > 5, "sound")
            gone = time.monotonic()
        wait_until(lambda: not memory.statuses()[-1][0], "the end to be noticed")
        before = len(chunks)
        with server():
            wait_until(lambda: len(chunks) > before, "sound to come back")
            away = time.monotonic() - gone
    (lost,) = lost_before(chunks[before : before + 1], end_of(chunks[:before]))
    assert 0.1 < lost / SAMPLE_RATE_HZ < away + 5.0
    assert not [reason for _, reason in memory.statuses() if PASSWORD in reason]


# Specifications


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (f"rtsp://ann:{PASSWORD}@camera.local/live?a=b", "camera.local"),
        ("yard=HTTP://radio.example:8000/stream.mp3", "yard"),
        ("https://[::1]/x#2", "::1 2"),
    ],
)
def test_a_stream_is_called_by_its_host_or_as_asked(spec: str, name: str) -> None:
    source = open_source(spec)
    assert source.name == name
    assert source.live
    assert source.retry_seconds == 30.0


@pytest.mark.parametrize(
    "spec",
    [
        f"rtsp://ann:{PASSWORD}@/live",
        f"rtsp://ann:@{PASSWORD}?@camera/live",
        f"rtsp://ann:{PASSWORD}/x@camera/live",
        f"rtsp://ann:{PASSWORD}@camera:99999/live",
        f"yard=http://ann:{PASSWORD}@radio/a b",
        f"http://ann:{PASSWORD}@radio/x#t=10",
        f"http://ann:{PASSWORD}@radio/x#track=x",
        f"ftp://ann:{PASSWORD}@radio/x",
    ],
)
def test_a_malformed_address_is_refused_without_showing_its_secrets(spec: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("spec", "shown", "secret"),
    [
        ("rtsp://camera/live", "rtsp://camera", False),
        (f"rtsp://ann:{PASSWORD}@camera:8554/live", "rtsp://camera:8554", True),
        (f"yard=https://[fe80::1]/live?token={PASSWORD}", "yard=https://[fe80::1]", True),
        (f"http://radio/x?Access_Key={PASSWORD}", "http://radio", True),
        (f"rtsp://ann:{PASSWORD}/1@camera/live", "rtsp://…", True),
        (f"rtsp://cam:554/user=admin_password={PASSWORD}_channel=1_stream=0.sdp", "rtsp://cam:554", True),
        (f"rtsp://cam/user=admin&password={PASSWORD}&channel=1&stream=0.sdp?", "rtsp://cam", True),
        (f"http://cam/live?usr=admin&pw={PASSWORD}", "http://cam", True),
        (f"rtsp://cam/user=admin_password=_{PASSWORD}_channel=1", "rtsp://cam", True),
        (f"rtsp://cam/user%3Dadmin_password%3D{PASSWORD}", "rtsp://cam", True),
        ("rtsp://cam/user=admin_password=_channel=1_stream=0.sdp", "rtsp://cam", False),
        ("rtsp://cam/channel=1_stream=0.sdp", "rtsp://cam", False),
        ("http://radio/design=1/signal=2", "http://radio", False),
        ("http://radio/stream?quality=high", "http://radio", False),
        ("mic:USB", "mic:USB", False),
        ("tcp://127.0.0.1:7000", "tcp://127.0.0.1:7000", False),
    ],
)
def test_only_the_scheme_and_host_of_an_address_are_shown(spec: str, shown: str, secret: bool) -> None:
    assert without_secrets(spec) == shown
    assert has_secret(spec) is secret
