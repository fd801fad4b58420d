"""Headers of audio files, which must not be taken for raw samples."""

import re

NEEDED_BYTES = 3200
"""Bytes that are enough to recognise a file: those of two frames of MP3 or AAC."""

_SIGNATURES = (
    ("a WAV file", rb"(RIFF|RF64|BW64)"),
    ("a Wave64 file", rb"riff\x2e\x91\xcf\x11"),
    ("a FLAC file", rb"fLaC"),
    ("an Ogg file", rb"OggS"),
    ("an MP3 file", rb"ID3[\x02-\x04]"),
    ("an AIFF file", rb"FORM....AIF[FC]"),
    ("an AU file", rb"\.snd\x00\x00"),
    ("a CAF file", rb"caff\x00\x01"),
    ("an MP4 file", rb"....ftyp"),
    ("a Matroska file", rb"\x1a\x45\xdf\xa3"),
    ("an ASF file", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("an FLV file", rb"FLV\x01"),
    ("an AMR file", rb"#!AMR"),
    ("a WavPack file", rb"wvpk"),
    ("a Monkey's Audio file", rb"MAC "),
    ("an MPEG file", rb"\x00\x00\x01\xba|(?!(..)\1{8})(\x47..[\x10-\x3f].{184}){4}"),
    ("a playlist", rb"#EXTM3U"),
)

_MP3_KBITS = {
    3: {  # MPEG 1, by layer
        3: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
        2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
        1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    },
    2: {  # MPEG 2
        3: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
        2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
        1: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    },
}
"""Bit rates by MPEG version and layer, as these are coded (ISO 11172-3, 13818-3)."""

_MP3_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def kind_of_file(beginning: bytes) -> str | None:
    """Return the kind of file that begins like this ("a WAV file"); None for raw samples."""
    for name, signature in _SIGNATURES:
        if re.match(signature, beginning, re.DOTALL):
            return name
    for name, frame_length in (("an MP3 file", _mp3_frame_length), ("an AAC file", _aac_frame_length)):
        length = frame_length(beginning)
        if length and frame_length(beginning[length:]) and beginning[:2] == beginning[length : length + 2]:
            return name
    return None


def _mp3_frame_length(header: bytes) -> int:
    """Return the length of an MPEG audio frame; 0 if this is no header of one."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    kbits, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 0 or kbits in {0, 15} or rate == 3:
        return 0
    bits_per_second = 1000 * _MP3_KBITS[3 if version == 3 else 2][layer][kbits - 1]
    rate_hz = _MP3_RATES_HZ[version][rate]
    if layer == 3:
        return (12 * bits_per_second // rate_hz + padding) * 4
    halved = layer == 1 and version != 3
    return (72 if halved else 144) * bits_per_second // rate_hz + padding


def _aac_frame_length(header: bytes) -> int:
    """Return the length of an ADTS frame; 0 if this is no header of one."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else 0
