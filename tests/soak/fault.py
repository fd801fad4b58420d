"""Type of a fault."""

from collections.abc import Callable
from dataclasses import dataclass

from soak.rig import Rig


@dataclass(frozen=True, slots=True)
class Fault:
    """Fault that is caused while Earshot runs.

    Attributes
    ----------
    name : str
        Name on the command line.
    happens, promise : str
        Description of the fault, and the promise to users.
    bring_about : callable
        Function that causes the fault a number of times, asserts the promise, and returns the measurement.
    times : int
        Number of repetitions in `make soak`.
    times_in_tests : int
        Number of repetitions in `make test`; 0 leaves it out.
    """

    name: str
    happens: str
    promise: str
    bring_about: Callable[[Rig, int], str]
    times: int
    times_in_tests: int = 0
