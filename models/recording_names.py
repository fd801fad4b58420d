"""Names of recordings, by their suffixes."""

import re

_RECORDING = re.compile(
    r".*\.(aac|ac3|aifc|aiff?|amr|ape|au|avi|caf|flac|m4[ab]|mk[av]|mov|mp[234]|mpga|og[ag]|opus|w64|wave?|web[am]|wma|wv)",
    re.IGNORECASE | re.DOTALL,
)


def is_recording_name(name: str) -> bool:
    """Return True if a file is a recording, by the suffix of its name."""
    return _RECORDING.fullmatch(name) is not None
