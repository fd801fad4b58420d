"""Settings of the kiosk."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from .fields import FrozenModel, UserPath, name_entries

_LONGEST_TEXT = 80


class KioskSettings(FrozenModel):
    """Settings of the kiosk: a full screen on a wall."""

    kiosk: bool = False
    kiosk_text: Annotated[str, Field(max_length=_LONGEST_TEXT)] = ""
    kiosk_logo: UserPath | None = None
    kiosk_hide: Annotated[list[str], BeforeValidator(name_entries)] = Field(default_factory=list)
    language: Literal["en", "de"] = "en"
