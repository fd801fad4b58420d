"""Small servers of sound on the loopback: HTTP that behaves as a test wants it, and RTSP over TCP or UDP."""

import base64
import io
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

Answer: TypeAlias = Callable[[BaseHTTPRequestHandler], None]

PIECE_SECONDS = 0.1


def encoded(
    form: str,
    codec: str,
    samples: NDArray[np.float32],
    rate_hz: int,
    *,
    tracks: int = 1,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """Encode samples (n,) or (2, n) with FFmpeg; further tracks are half, a third, … as loud."""
    layout = "mono" if samples.ndim == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=dict(options or {})) as container:
        streams = [container.add_stream(codec, rate=rate_hz) for _ in range(tracks)]
        for stream in streams:
            stream.layout = layout
        for number, stream in enumerate(streams):
            packed = np.atleast_2d(samples).T.reshape(1, -1) / (number + 1) * 32_767
            frame = av.AudioFrame.from_ndarray(packed.astype(np.int16), "s16", layout)
            frame.rate = rate_hz
            container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return file.getvalue()


def file(data: bytes, kind: str = "audio/mpeg") -> Answer:
    """Answer with all of a file at once."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def stream(
    data: bytes,
    bytes_per_second: float,
    *,
    burst: int = 0,
    after: Callable[[int], float | None] = lambda _sent: 0.0,
) -> Answer:
    """Answer like a radio station, from which sound comes in real time.

    Parameters
    ----------
    data : bytes
        What is sent.
    bytes_per_second : float
        How fast.
    burst : int
        Bytes that are sent at once in the beginning.
    after : callable
        What to wait in addition after so many bytes; None ends it.
    """

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "audio/mpeg")
        handler.end_headers()
        piece = round(bytes_per_second * PIECE_SECONDS)
        sent = 0
        while sent < len(data):
            size = max(piece, burst - sent)
            handler.wfile.write(data[sent : sent + size])
            sent += size
            extra = after(sent)
            if extra is None:
                return
            time.sleep(PIECE_SECONDS + extra)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Answer with a status and no content."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def silence(handler: BaseHTTPRequestHandler) -> None:
    """Accept the connection, and send nothing for a minute."""
    handler.connection.settimeout(60)
    handler.rfile.read(1)


def behind_password(user: str, password: str, then: Answer) -> Answer:
    """Answer only requests with the password."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") == wanted:
            then(handler)
        else:
            status(401, WWW_Authenticate='Basic realm="camera"')(handler)

    return answer


class _Server:
    """Base of both servers: a thread, and connections that end with the server."""

    def __init__(self, server: socketserver.TCPServer, certificate: tuple[Path, Path] | None) -> None:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server = server
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self.port: int = server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop, and close all connections."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._thread.join(5)


class HttpServer(_Server):
    """Server that answers each path as given, others with 404; over TLS with a certificate.

    Parameters
    ----------
    answers : mapping of str to Answer
        By path.
    port : int
        Where to listen; anywhere if 0.
    certificate : pair of Path, optional
        A certificate and its key.
    """

    def __init__(
        self, answers: Mapping[str, Answer], *, port: int = 0, certificate: tuple[Path, Path] | None = None
    ) -> None:
        outer = self
        self.asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                super().setup()
                outer._open.add(self.connection)

            def finish(self) -> None:
                outer._open.discard(self.connection)
                with suppress(OSError):
                    super().finish()

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                try:
                    answers.get(self.path.partition("?")[0], status(404))(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.daemon_threads = True
        super().__init__(server, certificate)

    def url(self, path: str, *, scheme: str = "http", credentials: str = "") -> str:
        """Return the address of a path."""
        return f"{scheme}://{credentials}127.0.0.1:{self.port}{path}"


class RtspServer(_Server):
    """A camera's sound, G.711 µ-law at 8 kHz, in real time.

    The packets go over the one TCP connection (RFC 2326, section 10.12), or over UDP.

    Parameters
    ----------
    loudness : tuple of float
        Of each sound track, a steady square wave; a camera without has video only.
    port : int
        Where to listen; anywhere if 0.
    password : str, optional
        Of the user `camera`; everyone is welcome without.
    certificate : pair of Path, optional
        A certificate and its key.
    pause : callable
        After so many packets of 20 ms: by how many of them to jump, while sound is lost; infinity says no more.
    udp_only : str
        Status that refuses packets over TCP, such as ``461 Unsupported Transport``; UDP is refused if empty.
    statuses : mapping of str to str
        Status by method that is answered instead, as in ``{"DESCRIBE": "404 Not Found"}``.
    location : str
        Address in the answers of `statuses`.
    """

    def __init__(
        self,
        loudness: tuple[float, ...] = (0.5,),
        *,
        port: int = 0,
        password: str | None = None,
        certificate: tuple[Path, Path] | None = None,
        pause: Callable[[int], float] = lambda _packets: 0,
        udp_only: str = "",
        statuses: Mapping[str, str] | None = None,
        location: str = "",
    ) -> None:
        self.requests: list[str] = []
        self.received: list[str] = []
        self.loudness = loudness
        self.pause = pause
        self.udp_only = udp_only
        self.statuses, self.location = dict(statuses or {}), location
        self.authorization = (
            None if password is None else f"Basic {base64.b64encode(f'camera:{password}'.encode()).decode()}"
        )
        server = _RtspListener(("127.0.0.1", port), _RtspHandler)
        server.camera = self
        super().__init__(server, certificate)

    @property
    def description(self) -> str:
        """Description of the stream, as SDP (RFC 8866)."""
        media = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:video"]
        for track in range(len(self.loudness)):
            media += ["m=audio 0 RTP/AVP 0", f"a=control:track{track}"]
        session = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0"]
        return "\r\n".join([*session, *media, ""])

    def url(self, *, scheme: str = "rtsp", credentials: str = "") -> str:
        """Return the address of the stream."""
        return f"{scheme}://{credentials}127.0.0.1:{self.port}/live"


class _RtspListener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    camera: RtspServer

    def handle_error(self, *_: Any) -> None:
        """Log nothing."""


class _RtspHandler(socketserver.StreamRequestHandler):
    server: _RtspListener

    def setup(self) -> None:
        super().setup()
        self.server.camera._open.add(self.connection)
        self.senders: dict[int, Callable[[bytes], object]] = {}
        self.sockets: list[socket.socket] = []

    def finish(self) -> None:
        self.server.camera._open.discard(self.connection)
        for sender in self.sockets:
            self.server.camera._open.discard(sender)
            sender.close()
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        while lines := list(iter(lambda: self.rfile.readline().decode().strip(), "")):
            method, url, _ = lines[0].split()
            fields = dict(line.split(": ", 1) for line in lines[1:])
            self.server.camera.requests.append(method)
            self.server.camera.received += lines
            code, more, body = self.answer(method, url, fields)
            more = [f"CSeq: {fields['CSeq']}", "Session: 1", *more, f"Content-Length: {len(body)}", "", body]
            self.wfile.write("\r\n".join([f"RTSP/1.0 {code}", *more]).encode())
            if method == "PLAY" and code.startswith("200"):
                self.play()

    def answer(self, method: str, url: str, fields: Mapping[str, str]) -> tuple[str, list[str], str]:
        camera = self.server.camera
        if camera.authorization not in {None, fields.get("Authorization")}:
            return "401 Unauthorized", ['WWW-Authenticate: Basic realm="camera"'], ""
        if method in camera.statuses:
            return camera.statuses[method], [f"Location: {camera.location}"] if camera.location else [], ""
        if method == "DESCRIBE":
            return "200 OK", [f"Content-Base: {url}/", "Content-Type: application/sdp"], camera.description
        if method == "SETUP":
            return self.set_up(int(url[-1]), fields["Transport"])
        return "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"], ""

    def set_up(self, track: int, transport: str) -> tuple[str, list[str], str]:
        camera = self.server.camera
        if (channel := re.search(r"interleaved=(\d+)", transport)) and not camera.udp_only:
            self.senders[track] = partial(self.send_interleaved, int(channel[1]))
        elif (port := re.search(r"client_port=(\d+)", transport)) and camera.udp_only:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.bind(("127.0.0.1", 0))
            camera._open.add(sender)
            self.sockets.append(sender)
            self.senders[track] = partial(_send_to, sender, int(port[1]))
            transport += f";server_port={sender.getsockname()[1]}-{sender.getsockname()[1] + 1}"
        else:
            return camera.udp_only or "461 Unsupported Transport", [], ""
        return "200 OK", [f"Transport: {transport}"], ""

    def send_interleaved(self, channel: int, packet: bytes) -> None:
        self.wfile.write(struct.pack(">cBH", b"$", channel, len(packet)) + packet)

    def play(self) -> None:
        camera = self.server.camera
        packets, lost, began = 0, 0, time.monotonic()
        while True:
            for track, send in self.senders.items():
                code = _mu_law(camera.loudness[track])
                payload = (bytes([code]) * 10 + bytes([code ^ 0x80]) * 10) * 8  # 400 Hz
                stamp = (packets + lost) * 160
                packet = struct.pack(">BBHII", 0x80, 0, packets, stamp, 7 + track) + payload
                send(packet)
            packets += 1
            jump = camera.pause(packets)
            if jump == float("inf"):
                time.sleep(60)
            lost += int(jump)
            time.sleep(max(0.0, began + (packets + lost) * 0.02 - time.monotonic()))


def _mu_law(level: float) -> int:
    """Encode a positive sample in 0..1 (ITU-T G.711)."""
    magnitude = min(round(level * 32_635), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def _send_to(sender: socket.socket, port: int, packet: bytes) -> None:
    sender.sendto(packet, ("127.0.0.1", port))
