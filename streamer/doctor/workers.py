"""Check of the workers that have the model."""

import ipaddress
from urllib.parse import urlsplit

from ..stream.scoring import Scorer, traffic_of
from .result import CheckResult


def check_workers(scorer: Scorer, *, address: str, has_token: bool) -> CheckResult:
    """Report how fast and how reliably the workers have answered during the other checks.

    Parameters
    ----------
    scorer : callable
        Tagger on the workers.
    address : str
        Address of the workers.
    has_token : bool
        True if there is a token for them.
    """
    traffic = traffic_of(scorer)
    if traffic is None or traffic.seconds_p50 is None or traffic.seconds_p95 is None:
        return CheckResult("workers", "skipped", f"nothing was sent to {address}")
    windows = "1 window" if traffic.requests == 1 else f"{traffic.requests} windows"
    found = (
        f"{windows} sent to {traffic.address}, answers after {1000 * traffic.seconds_p50:.0f} ms "
        f"(95 %: {1000 * traffic.seconds_p95:.0f} ms), {traffic.retries} requests repeated"
    )
    figures = {
        "address": traffic.address,
        "requests": traffic.requests,
        "retries": traffic.retries,
        "seconds_p50": round(traffic.seconds_p50, 4),
        "seconds_p95": round(traffic.seconds_p95, 4),
    }
    is_open = address.lower().startswith("http:") and not _is_here(address)
    if is_open and not has_token:
        advice = "set model_token, here and at the workers: everyone in the network can use them"
        return CheckResult("workers", "warning", f"{found}, without a token", advice, figures)
    return CheckResult("workers", "ok", found, figures=figures)


def _is_here(address: str) -> bool:
    """Return True for an address of this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
