"""Which devices can record, what to call them, and which one is meant."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from .portaudio.process import PortAudioProcess

_ADDRESS = re.compile(r" \(hw:(\d+),(\d+)\)$")
"""ALSA's: which card it is since something was plugged in or out, and which of the card's devices."""

_CARDS = Path("/sys/class/sound")


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that can record.

    Attributes
    ----------
    index : int
        PortAudio's number for it, until something is plugged in or out.
    name, host_api : str
        As PortAudio calls them: "USB Audio: - (hw:1,0)", "ALSA".
    channels : int
        The most it has; virtual devices offer dozens.
    rate_hz : float
        Its default rate.
    is_default : bool
        Whether it is what `mic` means.
    port : str
        Where it is plugged in, "usb-1-2"; empty where nobody can tell.
    stable_name : str
        What it is called for good: "USB Audio: -", or "USB Audio: - at usb-1-2" where several are called so.
    """

    index: int
    name: str
    host_api: str
    channels: int
    rate_hz: float
    is_default: bool
    port: str
    stable_name: str

    @property
    def short_name(self) -> str:
        """The name without the driver's addresses: "USB Audio" for "USB Audio: - (hw:1,0)"."""
        return self.name.split(":", 1)[0].split(" (", 1)[0].strip() or self.name

    @property
    def plain_name(self) -> str:
        """The name without the address that changes: "USB Audio: -" for "USB Audio: - (hw:1,0)"."""
        return _ADDRESS.sub("", self.name)


def list_devices() -> list[InputDevice]:
    """Return the devices that can record now, in PortAudio's order.

    Raises
    ------
    DeviceError
        PortAudio is missing or doesn't work.
    """
    with PortAudioProcess() as portaudio:
        return identified(portaudio.devices())


def find_device(wanted: str | int | None, channel: int | None = None) -> InputDevice:
    """Return the device that is meant, as `choose_device` does among those there are now."""
    return choose_device(list_devices(), wanted, channel)


def identified(found: Iterable[dict[str, Any]], cards: Path = _CARDS) -> list[InputDevice]:
    """Make devices of what a PortAudio process tells, with names for good.

    Parameters
    ----------
    found : iterable of dict
        What `PortAudioProcess.devices` returns.
    cards : Path
        Where the system shows its sound cards.
    """
    devices = [
        InputDevice(**device, port=_port(device["name"], cards), stable_name=device["name"])
        for device in found
    ]
    namesakes = Counter(device.plain_name for device in devices)
    return [replace(device, stable_name=_stable_name(device, namesakes)) for device in devices]


def choose_device(
    devices: list[InputDevice], wanted: str | int | None, channel: int | None = None
) -> InputDevice:
    """Return the device that is meant.

    Parameters
    ----------
    devices : list of InputDevice
        Those there are.
    wanted : str, int or None
        An index; a name or a part of it, in any case; or None for the default.
    channel : int, optional
        A channel that it has to have, counted from 1.

    Raises
    ------
    DeviceError
        None or several match, the sentence lists those there are; or it lacks the channel.
    """
    if not devices:
        raise DeviceError(
            "there is no microphone on this computer; plug one in, see whether `earshot devices` lists it, or use "
            "`--source demo`, which needs none"
        )
    if wanted is None:
        matches = [device for device in devices if device.is_default] or devices[:1]
    elif isinstance(wanted, int):
        matches = [device for device in devices if device.index == wanted]
    else:
        matches = _matching(wanted, devices)
    if not matches:
        what = f"number {wanted}" if isinstance(wanted, int) else f"called {wanted}"
        raise DeviceError(f"there is no microphone {what}; there are {_listed(devices)}")
    if len(matches) > 1:
        differ = len({device.stable_name for device in matches}) == len(matches)
        example = matches[0].stable_name if differ else matches[0].index
        raise DeviceError(f"{wanted} may mean {_listed(matches)}; name one of them, as in mic:{example}")
    device = matches[0]
    if channel is not None and not 1 <= channel <= device.channels:
        raise DeviceError(
            f"{device.stable_name} has {device.channels} channels, not {channel}; count them from 1"
        )
    return device


def _port(name: str, cards: Path) -> str:
    """Return where the card is plugged in that an ALSA device is on, as Linux shows it: "usb-1-2", "0000:00:1f.3"."""
    if not (address := _ADDRESS.search(name)):
        return ""
    card, number = address.groups()
    place = cards / f"card{card}" / "device"
    if not place.exists():
        return ""
    function = place.resolve().name  # 1-2:1.0 of the USB device in 1-2
    port = re.sub(r"^(\d+-[\d.]+):.*", r"usb-\1", function)
    return port if number == "0" else f"{port},{number}"


def _stable_name(device: InputDevice, namesakes: Counter[str]) -> str:
    looks_like_a_channel = re.search(r"#\d+$", device.plain_name)
    if namesakes[device.plain_name] == 1 and not looks_like_a_channel:
        return device.plain_name
    return (
        f"{device.plain_name} at {device.port}" if device.port else f"{device.plain_name}, {device.host_api}"
    )


def _matching(wanted: str, devices: list[InputDevice]) -> list[InputDevice]:
    """Devices whose name holds the wanted text; only those it is the whole name of, if there are any.

    A port is matched as a whole: 1-2 is not 1-2.1. Windows shows a device once per host API: the API of the default device decides between namesakes.
    """
    text = wanted.casefold()
    exact = [device for device in devices if text in map(str.casefold, _whole_names(device))]
    matches = exact or [
        device for device in devices if text in f"{device.name}, {device.host_api}".casefold()
    ]
    usual_api = next((device.host_api for device in devices if device.is_default), None)
    usual = [device for device in matches if device.host_api == usual_api]
    namesakes = len({device.short_name for device in matches}) == 1
    return usual if namesakes and len(usual) == 1 else matches


def _whole_names(device: InputDevice) -> set[str]:
    names = {device.name, device.plain_name, device.short_name}
    return {
        *names,
        *(f"{name}, {device.host_api}" for name in names),
        *(f"{name} at {device.port}" for name in names if device.port),
    }


def _listed(devices: list[InputDevice]) -> str:
    return ", ".join(f"{device.index} ({device.stable_name}, {device.host_api})" for device in devices)
