"""Diagnosis of failed connections, where FFmpeg reports no more than the failure."""

import os
import socket
import ssl
from pathlib import Path

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Usual places of the system's certificate authorities, if OpenSSL names none."""

_EXPIRED = 10
_OTHER_NAME = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def authorities() -> str | None:
    """Return the PEM file of the trusted certificate authorities: ``SSL_CERT_FILE`` or the system's; None if unknown."""
    named = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    return named or next((path for path in _BUNDLES if Path(path).is_file()), None)


def explain_failure(host: str, port: int, *, tls: bool, timeout_seconds: float) -> str | None:
    """Return the reason for a failed connection, with advice; None if a new connection works.

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
        return "there is no such host: check its name and this machine's network"
    except TimeoutError:
        return "it does not answer: check that it is switched on"
    except OSError as error:
        return f"it can't be reached ({error.strerror}): check that it is switched on, and check the port"


def _explain_certificate(connection: socket.socket, host: str) -> str | None:
    try:
        context = ssl.create_default_context(cafile=authorities())
    except (OSError, ValueError):
        return (
            f"the certificate authorities in {authorities()} can't be read: set SSL_CERT_FILE to a PEM file"
        )
    try:
        with context.wrap_socket(connection, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return "its certificate has expired: renew it, or correct this machine's clock"
        if error.verify_code in _OTHER_NAME:
            return f"its certificate is not for {host}: use the name in the certificate as the host"
        return (
            "its certificate is not signed by an authority that this machine trusts: set SSL_CERT_FILE in the environment to "
            "the PEM file of the authority"
        )
    except (ssl.SSLError, ConnectionError):
        return "it does not use TLS on this port: check the port, or write the URL without the s"
