"""Diagnosis of failed network streams: the reason, with advice."""

import os
import socket
import ssl
from pathlib import Path

from .ffmpeg.contents import HLS
from .ffmpeg.wire import Failure
from .url import StreamUrl

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Usual places of the system's certificate authorities, if OpenSSL names none."""

_STATUSES = {
    400: "does not understand the request: check the whole URL",
    402: "requires a payment: choose another stream",
    403: "denies access: check the permissions of this user",
    404: "has nothing at this path: check the path of the URL",
    405: "does not allow reading this path: check the path of the URL",
    406: "offers nothing that Earshot can read: choose another stream of it",
    407: "is behind a proxy that requires a password: check http_proxy in the environment",
    408: "has waited too long for the request: check the network in between",
    410: "has removed this stream: look up its new URL",
    429: "refuses because of too many requests: close other players of this stream",
    453: "has no bandwidth left: close other viewers of this camera, or choose a smaller stream of it",
    454: "has lost the session: restart the camera if that happens again",
    461: "sends its audio neither over TCP nor over UDP: turn on RTP over TCP in its settings",
    500: "has failed: restart it, or look into its log",
    501: "does not support this kind of request: check the URL, and update its software",
    502: "can't reach the server behind it: try again later",
    503: "is overloaded or just starting: close other viewers, or try again later",
    504: "waits for a server behind it: try again later",
    505: "speaks another version of the protocol: update its software",
}
_STATUSES_OF_HTTP = {451: "may not send this stream here for legal reasons: choose another station"}
_STATUSES_OF_RTSP = {
    404: "has nothing at this path: look up the path of its stream in its manual",
    451: "does not understand a parameter of the request: check the URL behind its '?'",
}

_CONTENTS = {
    HLS: "sends an HLS playlist whose segments can't be read: check that it is on the air, or use another stream of it",
    "a playlist": "sends a playlist that is not HLS: use the address of the stream that is written in it",
    "a DASH playlist": "sends a DASH playlist, which is not supported: use its HLS or MP3 address",
    "pictures": "sends pictures without audio: use the camera's rtsp:// address",
}

_FAILURES = {
    "no audio": "{shown} has no audio track; switch its microphone on, or choose a stream with audio",
    "no decoder": "{shown} has audio of an unknown encoding; choose another audio codec in its settings",
    "format": "{shown} {text}",
    "memory": "{shown} sends what can't be decoded within the memory limit; choose another stream of it",
    "crash": "{shown} sends what crashes FFmpeg ({text}); choose another stream of it",
    "start": "{shown}: can't start a process for it ({text}); close other programs",
    "unexpected": "{shown}: an unexpected error in FFmpeg's process; run with --debug and report the traceback",
}

_EXPIRED = 10
_OTHER_NAME = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def authorities() -> str | None:
    """Return the PEM file of the trusted certificate authorities: ``SSL_CERT_FILE`` or the system's; None if unknown."""
    named = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    return named or next((path for path in _BUNDLES if Path(path).is_file()), None)


def explain(failure: Failure, url: StreamUrl, *, timeout_seconds: float) -> str:
    """Return a sentence about a failed stream: the server without secrets, the reason, and advice.

    Parameters
    ----------
    failure : Failure
        Failure of the FFmpeg process.
    url : StreamUrl
        URL of the stream.
    timeout_seconds : float
        Time limit for each step of a new connection, which shows what FFmpeg does not report.
    """
    shown = url.shown
    if failure.reason in _FAILURES:
        return _FAILURES[failure.reason].format(shown=shown, text=failure.text)
    match failure.reason:
        case "no track":
            reason = _explain_track(failure.number, url)
        case "status":
            reason = _explain_status(failure.number, url)
        case "content":
            reason = _explain_content(failure.text, url)
        case _:
            reason = _explain_silence(failure, url, timeout_seconds)
    return f"{shown} {reason}"


def _explain_track(last: int, url: StreamUrl) -> str:
    advice = "leave it out" if last == 1 else f"choose one from #track=1 to #track={last}"
    return f"has no audio track {url.selection.track}; {advice}"


def _explain_silence(failure: Failure, url: StreamUrl, timeout_seconds: float) -> str:
    """Explain a connection that fails or delivers nothing, by a new one."""
    if failure.text == "udp":
        return "sends its audio over UDP only, and none arrives: let UDP through the firewall in between"
    found = explain_connection(url.host, url.port, tls=url.tls, timeout_seconds=timeout_seconds)
    if found is not None:
        return found
    if failure.reason == "system":
        return f"has lost the connection ({failure.text}): check that it still sends"
    return "does not answer, or sends no audio: check that it is switched on, or restart it"


def _explain_status(status: int, url: StreamUrl) -> str:
    if status == 401:
        if url.has_credentials:
            return "refuses the user name and password (401): check those in the URL"
        kind = url.url.partition(":")[0]
        return (
            f"requires a user name and password (401): write them into the URL as {kind}://USER:PASSWORD@HOST"
        )
    special = _STATUSES_OF_RTSP if url.is_rtsp else _STATUSES_OF_HTTP
    known = special.get(status) or _STATUSES.get(status)
    if known is not None:
        reason, advice = known.split(": ", 1)
        return f"{reason} ({status}): {advice}"
    if not status:
        return "refuses the request: check the URL"
    if status >= 500:
        return f"has failed ({status}): restart it, or look into its log"
    return f"refuses the request ({status}): check the URL"


def _explain_content(content: str, url: StreamUrl) -> str:
    if content in _CONTENTS:
        return _CONTENTS[content]
    if content:
        return f"sends {content} instead of audio: use the address of the stream itself"
    if url.is_rtsp:
        return "sends what can't be read as audio: choose another stream or audio codec in its settings"
    return "does not send audio in a known format: use the address of the stream itself"


def explain_connection(host: str, port: int, *, tls: bool, timeout_seconds: float) -> str | None:
    """Return the reason for a failed connection as a predicate, with advice; None if a new connection works.

    Parameters
    ----------
    host, port : str and int
        Server.
    tls : bool
        Check the certificate too.
    timeout_seconds : float
        Timeout for each step.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
            return _explain_certificate(connection, host) if tls else None
    except socket.gaierror:
        return "can't be found: there is no such host; check its name and this machine's network"
    except TimeoutError:
        return "does not answer: check that it is switched on"
    except OSError as error:
        return f"can't be reached ({error.strerror}): check that it is switched on, and check the port"


def _explain_certificate(connection: socket.socket, host: str) -> str | None:
    try:
        context = ssl.create_default_context(cafile=authorities())
    except (OSError, ValueError):
        return f"can't be checked, because the certificate authorities in {authorities()} can't be read: set SSL_CERT_FILE to a PEM file"
    try:
        with context.wrap_socket(connection, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return "has a certificate that has expired: renew it, or correct this machine's clock"
        if error.verify_code in _OTHER_NAME:
            return f"has a certificate that is not for {host}: use the name in the certificate as the host"
        return (
            "has a certificate that is not signed by an authority that this machine trusts: set SSL_CERT_FILE in the environment to "
            "the PEM file of the authority"
        )
    except (ssl.SSLError, ConnectionError):
        return "does not use TLS on this port: check the port, or write the URL without the s"
