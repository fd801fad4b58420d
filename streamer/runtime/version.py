"""Version of Earshot."""

from importlib import metadata


def own_version() -> str:
    """Return the version that is installed; ``unknown`` in a checkout that is not."""
    try:
        return metadata.version("earshot")
    except metadata.PackageNotFoundError:
        return "unknown"
