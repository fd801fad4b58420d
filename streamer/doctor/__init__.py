"""Checks of the command ``doctor``, a file for each kind; no check changes anything."""

from .result import CheckResult

__all__ = ["CheckResult"]
