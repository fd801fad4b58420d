"""What the command ``doctor`` finds out, a file for each kind of check; nothing here changes what it looks at."""

from .result import CheckResult

__all__ = ["CheckResult"]
