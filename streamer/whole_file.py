"""Files that are there whole or not at all, whatever happens to the disk or the program meanwhile."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Put a text in the place of a file at once, and wait until it is on the disk. What is missing of its folder is made for its owner.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        All that will be in it, as UTF-8; line ends stay as they are.
    mode : int
        Who may do what with it.

    Raises
    ------
    OSError
        It can't be written. What was there before is still there, and nothing else.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(mode)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
