"""HLS streams: every connection is checked, not just the one for the first playlist."""

import itertools
import ssl
import subprocess
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from support.mosquitto import Authority
from support.sound_servers import Answer, HttpServer, behind_password, encoded, file, status
from support.streams import PASSWORD, SECONDS, TONE, heard, joined, level, listened, refusal, source_at
from support.system import require

from streamer.errors import NetworkError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk

END = "#EXT-X-ENDLIST\n"
ANN = f"ann:{PASSWORD}@"
UNTRUSTED = "has a certificate that is not signed by an authority that this machine trusts: set SSL_CERT_FILE"


@pytest.fixture(scope="module")
def segment() -> bytes:
    """Two seconds."""
    return encoded("mpegts", "aac", TONE, 44_100)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    require("openssl")
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def trusted(authority: Authority) -> tuple[Path, Path]:
    """Certificate and key."""
    return authority.sign("trusted")


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate of another authority, and its key."""
    require("openssl")
    return Authority(tmp_path_factory.mktemp("other"), "other").sign("untrusted")


@pytest.fixture
def _trust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))


def playlist(*urls: str, before: str = "", end: str = END) -> bytes:
    """A playlist of segments of two seconds."""
    segments = "".join(f"#EXT-X-DISCONTINUITY\n#EXTINF:2,\n{url}\n" for url in urls)
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{before}{segments}{end}".encode()


def noting(requests: list[Mapping[str, str]], then: Answer) -> Answer:
    """Note the headers of each request."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        requests.append(dict(handler.headers))
        then(handler)

    return answer


def seconds_of(chunks: list[AudioChunk]) -> float:
    return len(joined(chunks)) / SAMPLE_RATE_HZ


# Certificates


@pytest.mark.system
@pytest.mark.usefixtures("_trust")
def test_segments_with_valid_certificates_are_played(trusted: tuple[Path, Path], segment: bytes) -> None:
    with HttpServer({"/0.ts": file(segment)}, certificate=trusted) as other:
        answers = {
            "/list.m3u8": file(playlist("1.ts", other.url("/0.ts", scheme="https"))),
            "/1.ts": file(segment),
        }
        behind = {path: behind_password("ann", PASSWORD, answer) for path, answer in answers.items()}
        with HttpServer(behind, certificate=trusted) as server:
            chunks = listened(server.url("/list.m3u8", scheme="https", credentials=ANN))
    assert seconds_of(chunks) == pytest.approx(4.0, abs=0.3)


@pytest.mark.system
@pytest.mark.usefixtures("_trust")
@pytest.mark.parametrize("way", ["segment", "redirection", "key", "playlist", "live"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_no_other_server_is_asked_without_a_valid_certificate(
    trusted: tuple[Path, Path], untrusted: tuple[Path, Path], segment: bytes, way: str, scheme: str
) -> None:
    with HttpServer({"/0.ts": file(segment), "/key": file(bytes(16))}, certificate=untrusted) as other:
        url = other.url("/0.ts", scheme="https", credentials=ANN)
        key = f'#EXT-X-KEY:METHOD=AES-128,URI="{other.url("/key", scheme="https")}"\n'
        first = {
            "segment": playlist(url),
            "redirection": playlist("moved.ts"),
            "key": playlist("0.ts", before=key),
            "playlist": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n".encode(),
            "live": playlist(url, end=""),
        }
        answers = {
            "/list.m3u8": file(first[way]),
            "/moved.ts": status(302, Location=url),
            "/0.ts": file(segment),
        }
        with HttpServer(answers, certificate=trusted if scheme == "https" else None) as server:
            sentence = refusal(server.url("/list.m3u8", scheme=scheme))
    assert (
        f"sends an HLS playlist that leads to https://127.0.0.1:{other.port}, which {UNTRUSTED}" in sentence
    )
    assert not other.asked


@pytest.mark.system
@pytest.mark.usefixtures("_trust")
def test_a_password_is_not_sent_to_a_server_whose_certificate_is_no_longer_valid(
    trusted: tuple[Path, Path], untrusted: tuple[Path, Path], segment: bytes
) -> None:
    sent: list[str | None] = []

    def first(handler: BaseHTTPRequestHandler) -> None:
        connection = handler.connection
        assert isinstance(connection, ssl.SSLSocket)
        connection.context.load_cert_chain(*untrusted)  # for all further connections
        file(segment)(handler)

    def second(handler: BaseHTTPRequestHandler) -> None:
        sent.append(handler.headers["Authorization"])
        behind_password("ann", PASSWORD, file(segment))(handler)

    answers = {
        "/list.m3u8": behind_password("ann", PASSWORD, file(playlist("0.ts", "1.ts"))),
        "/0.ts": behind_password("ann", PASSWORD, first),
        "/1.ts": second,
    }
    chunks: list[AudioChunk] = []
    with HttpServer(answers, certificate=trusted) as server:
        source = source_at(server.url("/list.m3u8", scheme="https", credentials=ANN))
        with pytest.raises(NetworkError, match=f"^https://127.0.0.1:{server.port} {UNTRUSTED}"):
            heard(source, chunks)
    assert sent == []
    assert seconds_of(chunks) == pytest.approx(SECONDS, abs=0.2), "what came before is delivered"


@pytest.mark.system
@pytest.mark.usefixtures("_trust")
def test_a_certificate_is_for_the_name_of_its_server(
    authority: Authority, trusted: tuple[Path, Path], segment: bytes
) -> None:
    elsewhere = authority.sign("elsewhere", alternative="DNS:elsewhere.example")
    with HttpServer({"/0.ts": file(segment)}, certificate=elsewhere) as other:
        answers = {"/list.m3u8": file(playlist(other.url("/0.ts", scheme="https")))}
        with HttpServer(answers, certificate=trusted) as server:
            sentence = refusal(server.url("/list.m3u8", scheme="https"))
    assert "which has a certificate that is not for 127.0.0.1" in sentence
    assert not other.asked


# Playlists


def test_a_playlist_that_has_moved_is_followed_to_its_segments(segment: bytes) -> None:
    with (
        HttpServer({"/there/0.ts": file(segment), "/there/list": file(playlist("0.ts"))}) as other,
        HttpServer({"/list.m3u8": status(302, Location=other.url("/there/list"))}) as server,
    ):
        chunks = listened(server.url("/list.m3u8", credentials=ANN))
    assert seconds_of(chunks) == pytest.approx(SECONDS, abs=0.2)


def in_pieces(*pieces: bytes) -> Answer:
    """Answer with pieces of a file, one after the other."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(sum(map(len, pieces))))
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(0.1)

    return answer


def test_a_playlist_may_come_in_pieces(segment: bytes) -> None:
    begin, rest = playlist("0.ts")[:8], playlist("0.ts")[8:]
    with HttpServer({"/list": in_pieces(begin, rest), "/0.ts": file(segment)}) as server:
        assert seconds_of(listened(server.url("/list"))) == pytest.approx(SECONDS, abs=0.2)


def test_an_address_may_have_any_letters(segment: bytes) -> None:
    answers = {"/h%C3%B6re/live.m3u8": file(playlist("0.ts")), "/h%C3%B6re/0.ts": file(segment)}
    with HttpServer(answers) as server:
        address = server.url("/live.m3u8").replace("/live", "/höre/live")
        assert seconds_of(listened(address)) == pytest.approx(SECONDS, abs=0.2)


def test_a_password_stays_with_its_server(segment: bytes) -> None:
    here: list[Mapping[str, str]] = []
    there: list[Mapping[str, str]] = []
    with HttpServer({"/0.ts": noting(there, file(segment))}) as other:
        answers = {"/list.m3u8": file(playlist("0.ts", other.url("/0.ts"))), "/0.ts": file(segment)}
        behind = {path: behind_password("ann", PASSWORD, answer) for path, answer in answers.items()}
        with HttpServer({**behind, "/0.ts": noting(here, behind["/0.ts"])}) as server:
            chunks = listened(server.url("/list.m3u8", credentials=ANN))
    assert seconds_of(chunks) == pytest.approx(4.0, abs=0.3)
    assert [headers.get("Authorization", "").partition(" ")[0] for headers in here] == ["", "Basic"]
    assert there
    assert not any("Authorization" in headers for headers in there)


@pytest.mark.system
def test_encrypted_segments_are_decrypted(segment: bytes) -> None:
    require("openssl")
    key, iv = bytes(range(16)), bytes(range(100, 116))
    command = ["openssl", "enc", "-aes-128-cbc", "-K", key.hex(), "-iv", iv.hex()]
    secret = subprocess.run(command, input=segment, check=True, capture_output=True, timeout=20).stdout
    line = f'#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x{iv.hex()}\n'
    answers = {"/list": file(playlist("0.ts", before=line)), "/0.ts": file(secret), "/key": file(key)}
    with HttpServer(answers) as server:
        samples = joined(listened(server.url("/list")))
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(SECONDS, abs=0.2)
    assert level(samples[4_000:-4_000]) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_the_segments_of_a_playlist_may_be_parts_of_one_file(segment: bytes) -> None:
    whole = segment + segment
    ranges = "".join(
        f"#EXT-X-DISCONTINUITY\n#EXTINF:2,\n#EXT-X-BYTERANGE:{len(segment)}@{start}\nall.ts\n"
        for start in (len(segment), 0)
    )
    asked: list[str] = []

    def part(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers["Range"])
        first, _, last = asked[-1].removeprefix("bytes=").partition("-")
        piece = whole[int(first) : int(last) + 1]
        handler.send_response(206)
        handler.send_header("Content-Length", str(len(piece)))
        handler.end_headers()
        handler.wfile.write(piece)

    text = f"#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n{ranges}{END}"
    with HttpServer({"/list": file(text.encode()), "/all.ts": part}) as server:
        chunks = listened(server.url("/list"))
    assert seconds_of(chunks) == pytest.approx(4.0, abs=0.3)
    assert asked == [f"bytes={len(segment)}-{len(whole) - 1}", f"bytes=0-{len(segment) - 1}"]


def test_only_one_variant_of_a_stream_is_fetched(segment: bytes) -> None:
    variants, last = "abc", 5
    master = "".join(
        f"#EXT-X-STREAM-INF:BANDWIDTH={number}000000\n{name}.m3u8\n"
        for number, name in enumerate(variants, 1)
    )
    asked: list[str] = []

    def answer_of(name: str) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            asked.append(name)
            file(segment)(handler)

        return answer

    answers = {"/list.m3u8": file(f"#EXTM3U\n{master}".encode())}
    for name in variants:
        segments = [f"{name}{number}.ts" for number in range(last + 1)]
        answers[f"/{name}.m3u8"] = file(playlist(*segments))
        answers |= {f"/{one}": answer_of(one) for one in segments}
    with HttpServer(answers) as server:
        chunks = listened(server.url("/list.m3u8"))
    assert seconds_of(chunks) == pytest.approx(2.0 * (last + 1), abs=0.5)
    assert [name for name in asked if name.startswith("a")] == [f"a{number}.ts" for number in range(last + 1)]
    others = {name[1:] for name in asked if not name.startswith("a")}
    assert others <= {"0.ts", "1.ts"}, "FFmpeg looks into the beginning of each"


def test_a_missing_segment_is_left_out(segment: bytes) -> None:
    answers = {"/list": file(playlist("0.ts", "missing.ts", "1.ts")), "/0.ts": file(segment)}
    with HttpServer({**answers, "/1.ts": file(segment)}) as server:
        chunks = listened(server.url("/list"))
    assert seconds_of(chunks) == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (status(404), r"has nothing at this path \(404\)"),
        (status(401, WWW_Authenticate="Bearer"), r"\(401\)"),
    ],
)
def test_a_live_playlist_is_read_again_until_the_server_refuses_it(
    segment: bytes, refused: Answer, sentence: str
) -> None:
    reads = itertools.count(-2)  # twice to recognise it

    def live(handler: BaseHTTPRequestHandler) -> None:
        number = next(reads)
        if number == 2:
            refused(handler)
            return
        first = max(number, 0)
        names = (f"{n}.ts" for n in range(first, first + 2))
        text = playlist(*names, before=f"#EXT-X-MEDIA-SEQUENCE:{first}\n", end="")
        handler.send_response(200)
        handler.send_header("Set-Cookie", "session=1")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    asked: list[Mapping[str, str]] = []
    answers = {f"/{n}.ts": noting(asked, file(segment)) for n in range(3)}
    chunks: list[AudioChunk] = []
    with (
        HttpServer({"/live": live, **answers}) as server,
        pytest.raises(NetworkError, match=sentence),
    ):
        heard(source_at(server.url("/live")), chunks)
    assert seconds_of(chunks) == pytest.approx(6.0, abs=0.4)
    assert {headers.get("Cookie") for headers in asked} == {"session=1"}


def test_a_segment_that_does_not_come_is_reported() -> None:
    def mute(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.settimeout(20)
        handler.rfile.read(1)

    with HttpServer({"/list": file(playlist("0.ts")), "/0.ts": mute}) as server:
        assert "sends no audio" in refusal(server.url("/list"), seconds=2.0)
