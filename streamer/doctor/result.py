"""What a check has found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check has found.

    Attributes
    ----------
    check : str
        What was looked at.
    state : {"ok", "warning", "failed", "skipped"}
        A warning is something that Earshot gets along with.
    found : str
        How it is, for people.
    advice : str
        What to do about it, as a sentence; empty where there is nothing to do.
    figures : mapping
        The same for programs: what JSON can hold, units in the names.
    """

    check: str
    state: State
    found: str
    advice: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
