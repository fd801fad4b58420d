"""TLS: trusted authorities, the client's certificate, and explanations of failures."""

import ssl

from ...errors import SettingsError
from .broker import Broker

_NOT_YET_VALID = 9
_EXPIRED = 10
_UNTRUSTED = {2, 18, 19, 20, 21, 27}  # its issuer is missing, unknown or not trusted, or it is its own
_OTHER_NAME = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


def context_for(broker: Broker) -> ssl.SSLContext | None:
    """Return a context that checks the broker's certificate and host name; None for a broker without TLS.

    Raises
    ------
    SettingsError
        A file can't be used.
    """
    if not broker.tls:
        return None
    ca_file, certificate_file, key_file = broker.ca_file, broker.certificate_file, broker.key_file
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"mqtt_ca: {ca_file} {_trouble(error)}: give the PEM file of the authority that signed the broker's certificate"
        ) from error
    if certificate_file is not None:
        try:
            # Without a password, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate_file, key_file, password="")
        except (OSError, ValueError) as error:
            files = f"{certificate_file} and {key_file}" if key_file else str(certificate_file)
            raise SettingsError(
                f"mqtt_certificate, mqtt_key: {files} {_trouble(error)}: give a certificate and its key, "
                "both as PEM, the key without a password"
            ) from error
    return context


def explain(error: ssl.SSLError, broker: Broker) -> str:
    """Return the reason why a connection over TLS failed, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error.verify_code, broker) or (
            f"its certificate is not trusted ({error.verify_message})"
        )
    reason = error.reason or ""
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason or "HANDSHAKE_FAILURE" in reason:
        return explain_hang_up(broker)
    return "it does not speak TLS on this port: the default one is 8883, and mqtt:// is without TLS"


def explain_hang_up(broker: Broker) -> str:
    """Return likely reasons why a broker closes the connection without an error."""
    if not broker.tls:
        return "it closes the connection: if it speaks TLS there, write the address as mqtts://"
    if broker.certificate_file is None:
        return (
            "it closes the connection: if it asks for a certificate, set mqtt_certificate and mqtt_key; "
            "if it does not speak TLS there, write the address as mqtt://"
        )
    return f"it closes the connection: it may not accept {broker.certificate_file}; check mqtt_certificate"


def _explain_certificate(code: int, broker: Broker) -> str | None:
    if code == _EXPIRED:
        return "its certificate has expired: renew it there, or set this machine's clock"
    if code == _NOT_YET_VALID:
        return "its certificate is not valid yet: set this machine's clock"
    if code in _OTHER_NAME:
        return f"its certificate is not for {broker.host}: use the host name of the certificate"
    if code in _UNTRUSTED and broker.ca_file is not None:
        return f"its certificate is not signed by the authority in {broker.ca_file}: set another mqtt_ca"
    if code in _UNTRUSTED:
        return "its certificate is not signed by an authority that this machine trusts: set mqtt_ca"
    return None


def _trouble(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
        return "can't be used"
    return f"can't be read ({error.strerror})"
