"""Labels of a model with taught sounds, without NumPy: enough to show a window."""

from collections.abc import Sequence


def with_taught_labels(labels: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a model with the names of taught sounds behind them; a name that is a label already is left out."""
    known = {label.casefold() for label in labels}
    return (*labels, *(name for name in names if name.casefold() not in known))
