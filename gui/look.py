"""Look of the kiosk: its words and their language, its logo, and the sounds that it does not show. No Qt here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from .errors import LookError

Language: TypeAlias = Literal["en", "de"]

_START_BYTES = 4096
_PIXELS = (b"\x89PNG", b"\xff\xd8\xff")
"""First bytes of PNG and JPEG."""

_LANGUAGES: tuple[Language, ...] = ("en", "de")
_TEXTS: Mapping[str, tuple[str, str]] = {
    "listening": ("Listening…", "Ich höre zu…"),
    "loading": ("Loading {model}…", "Lädt {model}…"),
    "offline": ("{source} is offline", "{source}: kein Ton"),
    "hold": ("keep holding Escape to leave", "Escape gedrückt halten, um zu beenden"),
    "heard": ("Sounds heard, most certain first", "Gehörte Geräusche, das sicherste zuerst"),
}
"""Words of the kiosk, by language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskLook:
    """Look of the kiosk.

    Attributes
    ----------
    text : str
        Invitation, such as "Clap, whistle, sing…"; empty for none.
    logo : Path or None
        Picture in the place of the program's logo: PNG, SVG or JPEG.
    language : {"en", "de"}
        Language of its words.
    hidden : frozenset of str
        Labels that are not shown.
    """

    text: str = ""
    logo: Path | None = None
    language: Language = "en"
    hidden: frozenset[str] = frozenset()

    def check(self) -> None:
        """Check that the logo is a file of a kind that can be shown, before anything else starts.

        Raises
        ------
        LookError
            It can't be read, or is no picture.
        """
        if self.logo is None:
            return
        try:
            with self.logo.open("rb") as file:
                start = file.read(_START_BYTES)
        except OSError as error:
            raise LookError(
                f"kiosk_logo: {self.logo} can't be read ({error.strerror}); check the path"
            ) from None
        if not start.startswith(_PIXELS) and b"<svg" not in start:
            raise LookError(
                f"kiosk_logo: {self.logo} is not a picture that can be shown; give a PNG, an SVG or a JPEG"
            )

    def say(self, key: str, **values: str) -> str:
        """Return words in the language of the kiosk."""
        return _TEXTS[key][_LANGUAGES.index(self.language)].format(**values)

    def hint(self, loading: str, *, inviting: bool) -> str:
        """Return the words in the place of tags: the model that is being loaded, the invitation, or that it listens."""
        if loading:
            return self.say("loading", model=loading)
        return (inviting and self.text) or self.say("listening")
