"""Types of settings, with their validation."""

import math
import re
import socket
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from .sources import parse_list

_TICK_SECONDS = 0.01
HIGHEST_OFFSET_DB = 250.0
SHORTEST_FAST_SECONDS, LONGEST_FAST_SECONDS = 0.5, 5.0

PathOrName = TypeVar("PathOrName", Path, str)


class FrozenModel(BaseModel):
    """Base of all settings models: immutable, without unknown settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_switch_for_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse ``true`` where a number belongs, which Python takes for 1."""
        if isinstance(value, bool) and info.field_name is not None:
            types = _types(cls.model_fields[info.field_name].annotation)
            if types & {int, float} and bool not in types:
                raise PydanticCustomError("float_type", "must be a number")
        return value


def expand(path: Path | None) -> Path | None:
    """Replace a leading ``~`` by the home folder."""
    return None if path is None else path.expanduser()


def default_node() -> str:
    """Return the name of this machine, as it may stand in a topic."""
    name = re.sub(r"[^a-z0-9_-]+", "-", socket.gethostname().lower()).strip("-")
    return name or "earshot"


def sound_entries(value: Any) -> Any:
    """Convert names in a list of sounds to tables; blank names are removed."""
    items = name_entries(value)
    if not isinstance(items, (list, tuple)):
        return items
    return [{"sound": item} if isinstance(item, str) else item for item in items]


def name_entries(value: Any) -> Any:
    """Convert a list of names; blank names are removed."""
    items = parse_list(value)
    if not isinstance(items, (list, tuple)):
        return items
    return [item for item in items if not isinstance(item, str) or item.strip()]


def _types(annotation: Any) -> set[Any]:
    """Return an annotation, and all types that it is made of."""
    return {annotation}.union(*map(_types, get_args(annotation))) if get_args(annotation) else {annotation}


def _round_to_ticks(value: float) -> float:
    ticks = value / _TICK_SECONDS
    if not math.isfinite(ticks):
        return value  # refused by the limits
    if abs(ticks - round(ticks)) > 1e-6:
        raise ValueError("must be a multiple of 0.01 s")
    return round(ticks) * _TICK_SECONDS


def _check_fast_window(seconds: float) -> float:
    if seconds and not SHORTEST_FAST_SECONDS <= seconds <= LONGEST_FAST_SECONDS:
        raise ValueError(f"must be 0 (off), or {SHORTEST_FAST_SECONDS:g} to {LONGEST_FAST_SECONDS:g} s")
    return seconds


def _check_path(path: PathOrName) -> PathOrName:
    if "\0" in str(path):
        raise ValueError("must not contain a NUL character")
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError("must not begin with the home folder of an unknown user") from None
    return path


def _refuse_empty(path: Any) -> Any:
    """Refuse an empty path, which would be the current folder."""
    if path == "":
        raise ValueError("must not be empty")
    return path


def _check_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ValueError("must be auto, cpu, cuda or cuda:NUMBER")
    return device


Ticks: TypeAlias = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_round_to_ticks)]
Hop: TypeAlias = Annotated[Ticks, Field(ge=_TICK_SECONDS, le=3600.0)]
FastWindow: TypeAlias = Annotated[Ticks, AfterValidator(_check_fast_window)]
Seconds: TypeAlias = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
UserPath: TypeAlias = Annotated[Path, BeforeValidator(_refuse_empty), AfterValidator(_check_path)]
UserName: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_check_path)]
Score: TypeAlias = Annotated[float, Field(gt=0.0, le=1.0)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Roll: TypeAlias = Annotated[float, Field(ge=0.0, le=60.0, allow_inf_nan=False)]
Above: TypeAlias = Annotated[float, Field(gt=3.0, le=100.0, allow_inf_nan=False)]
Level: TypeAlias = Annotated[float, Field(ge=0.0, le=200.0, allow_inf_nan=False)]
Offset: TypeAlias = Annotated[float, Field(ge=-50.0, le=HIGHEST_OFFSET_DB, allow_inf_nan=False)]
Device: TypeAlias = Annotated[str, AfterValidator(_check_device)]
