"""Stations that try to bring a listener down."""

from http.server import BaseHTTPRequestHandler

from support.sound_servers import Answer, file


def endless(piece: bytes, *, before: bytes = b"") -> Answer:
    """Answer with the same piece again and again, up to 200 MB."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(before)
        for _ in range(200_000_000 // len(piece)):
            handler.wfile.write(piece)

    return answer


FRAME = b"TXXX" + bytes([0, 7, 0x7F, 0x7F, 0, 0, 3]) + b"a" * 131_070
VARIANTS = b"#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n" * 1_000
STATIONS = {
    "/master.m3u8": endless(VARIANTS, before=b"#EXTM3U\n"),
    "/tag": endless(FRAME, before=b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f"),
    "/self": file(b"ffconcat version 1.0\nfile self\n"),
    "/any": endless(VARIANTS, before=b"#EXTM3U\n"),
    "/list.m3u8": endless(b"#EXTINF:2,\nx.ts\n" * 1_000, before=b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n"),
}
