"""Why a host can't be reached, asked of the system where FFmpeg says no more than that it failed."""

import os
import socket
import ssl
from pathlib import Path

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where systems keep the authorities that they trust, if OpenSSL does not say."""

_EXPIRED = 10
_OTHER_NAME = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def authorities() -> str | None:
    """Find the PEM file of the authorities to trust: ``SSL_CERT_FILE``, or that of the system; None if nobody knows."""
    named = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    return named or next((path for path in _BUNDLES if Path(path).is_file()), None)


def explain_failure(host: str, port: int, *, tls: bool, timeout_seconds: float) -> str | None:
    """Say why there is no connection, and what to do; None if there is nothing to be found out.

    Parameters
    ----------
    host, port : str and int
        Whom to ask.
    tls : bool
        Whether to look at the certificate too.
    timeout_seconds : float
        How long the host may take for each answer.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as connection:
            return _explain_certificate(connection, host) if tls else None
    except socket.gaierror:
        return "there is no such host: check its name, and this machine's network"
    except TimeoutError:
        return "it does not answer: see whether it is switched on"
    except OSError as error:
        return f"it can't be reached ({error.strerror}): see whether it is switched on, and check the port"


def _explain_certificate(connection: socket.socket, host: str) -> str | None:
    try:
        context = ssl.create_default_context(cafile=authorities())
    except (OSError, ValueError):
        return f"the authorities in {authorities()} can't be read: let SSL_CERT_FILE name a PEM file"
    try:
        with context.wrap_socket(connection, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return "its certificate has expired: renew it there, or set this machine's clock"
        if error.verify_code in _OTHER_NAME:
            return f"its certificate is not for {host}: give the name that stands in it as the host"
        return (
            "its certificate is not signed by an authority that this machine trusts: let the environment's SSL_CERT_FILE name "
            "the PEM file of the one that signed it"
        )
    except (ssl.SSLError, ConnectionError):
        return "it does not speak TLS on this port: check the port, or write the address without the s"
