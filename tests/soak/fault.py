"""Type of a fault."""

from collections.abc import Callable
from dataclasses import dataclass

from soak.rig import Rig


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes
    ----------
    name : str
        On the command line.
    happens, promise : str
        What goes wrong, and what users are promised for then.
    bring_about : callable
        Does it so many times, asserts what is promised, and returns what it has measured.
    times : int
        How often, in earnest.
    times_in_tests : int
        How often among the tests, where time is short; not at all if 0.
    """

    name: str
    happens: str
    promise: str
    bring_about: Callable[[Rig, int], str]
    times: int
    times_in_tests: int = 0
