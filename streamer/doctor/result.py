"""Result of a check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of a check.

    Attributes
    ----------
    check : str
        Name of the check.
    state : {"ok", "warning", "failed", "skipped"}
        Result; Earshot works despite a warning.
    found : str
        Finding, for people.
    advice : str
        Advice, as a sentence; empty if there is nothing to do.
    figures : mapping
        Finding, for programs: JSON values, with units in the names.
    """

    check: str
    state: State
    found: str
    advice: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
