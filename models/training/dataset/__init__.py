"""Data sets of labelled recordings, for training and validation.

`read_dataset` lists the recordings of a folder or a CSV file, `hold_out`, `k_fold` and `by_fold` split the list, and a `SoundCache`
decodes the recordings. `readable` removes recordings that can't be decoded before training starts.
"""

from .examples import Dataset, Example, Indices, check_trainable
from .listing import read_dataset
from .sounds import Reader, Samples, SoundCache, readable
from .splits import by_fold, hold_out, k_fold

__all__ = [
    "Dataset",
    "Example",
    "Indices",
    "Reader",
    "Samples",
    "SoundCache",
    "by_fold",
    "check_trainable",
    "hold_out",
    "k_fold",
    "read_dataset",
    "readable",
]
