"""Tables of the settings file: sounds to watch, and sources with settings of their own."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from ..events.catalogue import Watch
from ..events.quiet import check_quiet
from ..sources import name_fault
from .fields import Above, Count, FrozenModel, Hop, Level, Offset, Score, Seconds, sound_entries
from .sources import parse_list


class SoundTable(FrozenModel):
    """Sound, with a threshold if it differs from the default."""

    sound: str
    threshold: Score | None = None


class WatchTable(SoundTable):
    """Sound to watch for, with the parts of its rule that differ from the default; see `streamer.events.catalogue.Sound`."""

    minimum_threshold: Score | None = None
    off_threshold: Score | None = None
    hits: Count | None = None
    of: Count | None = None
    minimum_on_seconds: Seconds | None = None
    minimum_off_seconds: Seconds | None = None
    cooldown_seconds: Seconds | None = None
    quiet: Annotated[str, AfterValidator(check_quiet)] | None = None
    above_db: Above | None = None
    level_db: Level | None = None


def _check_name(name: str) -> str:
    if fault := name_fault(name):
        raise ValueError(fault)
    return name


class SourceTable(FrozenModel):
    """Source with settings of its own; a setting that is None is shared by all sources."""

    model_config = ConfigDict(str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1), AfterValidator(_check_name)]
    spec: str = Field(min_length=1)
    watch: Annotated[list[WatchTable], BeforeValidator(sound_entries)] | None = None
    hop: Hop | None = None
    clips: bool | None = None
    noise_offset_db: Offset | None = None


def _kind(entry: Any) -> str:
    return "table" if isinstance(entry, (Mapping, SourceTable)) else "text"


def source_entries(value: Any) -> Any:
    """Convert a text to a list of sources.

    Raises
    ------
    ValueError
        The value is a single table.
    """
    if isinstance(value, Mapping):
        raise ValueError("must be a list of tables: write [[source]] with two brackets")  # noqa: TRY004 - pydantic's
    return parse_list(value)


def watches(tables: Sequence[SoundTable]) -> list[Watch]:
    """Return the sounds of validated tables."""
    return [Watch(table.sound, table.model_dump(exclude={"sound"}, exclude_none=True)) for table in tables]


SourceEntry: TypeAlias = Annotated[
    Annotated[str, Tag("text")] | Annotated[SourceTable, Tag("table")], Discriminator(_kind)
]
