"""Content that is no audio, by its first bytes."""

import re

HLS = "an HLS playlist"

_CONTENTS = (
    (r"\s*(<!doctype html|<html|<head|<body)", "a web page"),
    (r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<MPD", "a DASH playlist"),
    (r"\s*#EXTM3U.*#EXT-X-", HLS),
    (r"\s*#EXTM3U", "a playlist"),
    (r"\s*\[playlist\]", "a playlist"),
    (r"\s*(https?|rtsps?|mms)://", "a playlist"),
    (r"\s*ffconcat", "a playlist"),
    (r"\s*<(asx|\?xml|playlist|smil)", "a playlist"),
    (r"\s*<", "a web page"),
    (r"\s*[\[{]", "text"),
    (r"\Z", "nothing"),
    (r"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP", "a picture"),
    (r"--\S+\s+content-type: *image", "pictures"),
    (r"%PDF", "a document"),
)


def describe(beginning: bytes) -> str:
    """Return a noun for what begins so; an empty text if it is unknown."""
    text = beginning[:4096].decode("latin-1").removeprefix("\xef\xbb\xbf")
    for pattern, noun in _CONTENTS:
        if re.match(pattern, text, re.IGNORECASE | re.DOTALL):
            return noun
    return ""
