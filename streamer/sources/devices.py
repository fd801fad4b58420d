"""Recording devices: listing them, naming them, and choosing one by name."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from .portaudio.process import PortAudioProcess

_ALSA_ADDRESS = re.compile(r" \(hw:(\d+),(\d+)\)$")
"""ALSA's number of the card, which changes when devices are plugged in or out, and of the device on the card."""

_CARDS = Path("/sys/class/sound")


@dataclass(frozen=True, slots=True)
class InputDevice:
    """Recording device.

    Attributes
    ----------
    index : int
        PortAudio's number, valid until a device is plugged in or out.
    name, host_api : str
        Names given by PortAudio: "USB Audio: - (hw:1,0)", "ALSA".
    channels : int
        Largest number of channels; virtual devices offer dozens.
    rate_hz : float
        Default sample rate.
    is_default : bool
        True for the device of the address `mic`.
    port : str
        Port where it is plugged in, such as "usb-1-2"; empty if unknown.
    stable_name : str
        Permanent name: "USB Audio: -", or "USB Audio: - at usb-1-2" if several devices have the same name.
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
        """Name without the addresses of the driver: "USB Audio" for "USB Audio: - (hw:1,0)"."""
        return self.name.split(":", 1)[0].split(" (", 1)[0].strip() or self.name

    @property
    def plain_name(self) -> str:
        """Name without the address that changes: "USB Audio: -" for "USB Audio: - (hw:1,0)"."""
        return _ALSA_ADDRESS.sub("", self.name)


def list_devices() -> list[InputDevice]:
    """Return the recording devices, in PortAudio's order.

    Raises
    ------
    DeviceError
        PortAudio is missing or doesn't work.
    """
    with PortAudioProcess() as portaudio:
        return identify(portaudio.devices())


def find_device(wanted: str | int | None, channel: int | None = None) -> InputDevice:
    """Return the present device that matches, as `choose_device` does."""
    return choose_device(list_devices(), wanted, channel)


def identify(found: Iterable[dict[str, Any]], cards: Path = _CARDS) -> list[InputDevice]:
    """Return devices with permanent names from the list of a PortAudio process.

    Parameters
    ----------
    found : iterable of dict
        Result of `PortAudioProcess.devices`.
    cards : Path
        Folder where the system lists its sound cards.
    """
    devices = [
        InputDevice(**device, port=_port(device["name"], cards), stable_name=device["name"])
        for device in found
    ]
    namesakes = Counter(device.plain_name for device in devices)
    return [replace(device, stable_name=_stable_name(device, namesakes)) for device in devices]


def split_microphone(address: str) -> tuple[str | int | None, int | None]:
    """Return the device and the channel of an address such as ``mic:NAME-OR-INDEX#CHANNEL``, as `choose_device` takes them."""
    wanted, channel = address.removeprefix("mic").removeprefix(":"), None
    if match := re.fullmatch(r"(.*)#(\d{1,9})", wanted):
        wanted, channel = match[1], int(match[2])
    return int(wanted) if re.fullmatch(r"\d{1,9}", wanted) else wanted or None, channel


def microphone_at(address: str, devices: list[InputDevice]) -> InputDevice | None:
    """Return the device that an address names; None if that is no microphone, or one that is not there."""
    if address != "mic" and not address.startswith("mic:"):
        return None
    try:
        return choose_device(devices, *split_microphone(address))
    except DeviceError:
        return None


def choose_device(
    devices: list[InputDevice], wanted: str | int | None, channel: int | None = None
) -> InputDevice:
    """Return the device that matches.

    Parameters
    ----------
    devices : list of InputDevice
        Available devices.
    wanted : str, int or None
        Index; name or part of it, ignoring case; or None for the default device.
    channel : int, optional
        Required channel, counted from 1.

    Raises
    ------
    DeviceError
        No device or several match (the message lists them), or the device lacks the channel.
    """
    if not devices:
        raise DeviceError(
            "there is no microphone on this computer; plug one in and check that `earshot devices` lists it, or use "
            "`--source demo`"
        )
    if wanted is None:
        matches = [device for device in devices if device.is_default] or devices[:1]
    elif isinstance(wanted, int):
        matches = [device for device in devices if device.index == wanted]
    else:
        matches = _matching(wanted, devices)
    if not matches:
        description = f"number {wanted}" if isinstance(wanted, int) else f"called {wanted}"
        raise DeviceError(f"there is no microphone {description}; choose one of {_listed(devices)}")
    if len(matches) > 1:
        differ = len({device.stable_name for device in matches}) == len(matches)
        example = matches[0].stable_name if differ else matches[0].index
        raise DeviceError(
            f"{wanted} is ambiguous: it matches {_listed(matches)}; name one of them, as in mic:{example}"
        )
    device = matches[0]
    if channel is not None and not 1 <= channel <= device.channels:
        raise DeviceError(
            f"{device.stable_name} has no channel {channel}; choose one from 1 to {device.channels}"
        )
    return device


def _port(name: str, cards: Path) -> str:
    """Return the port of an ALSA device's card, as Linux names it: "usb-1-2", "0000:00:1f.3"."""
    if not (address := _ALSA_ADDRESS.search(name)):
        return ""
    card, number = address.groups()
    folder = cards / f"card{card}" / "device"
    if not folder.exists():
        return ""
    function = folder.resolve().name  # 1-2:1.0 of the USB device in 1-2
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
    """Return the devices whose whole name is the wanted text or, if there are none, those whose name contains it.

    A port matches as a whole: 1-2 is not 1-2.1. Windows lists a device once per host API: among devices of the same name, the one
    with the host API of the default device is chosen.
    """
    text = wanted.casefold()
    exact = [device for device in devices if text in map(str.casefold, _whole_names(device))]
    matches = exact or [
        device for device in devices if text in f"{device.name}, {device.host_api}".casefold()
    ]
    default_api = next((device.host_api for device in devices if device.is_default), None)
    preferred = [device for device in matches if device.host_api == default_api]
    namesakes = len({device.short_name for device in matches}) == 1
    return preferred if namesakes and len(preferred) == 1 else matches


def _whole_names(device: InputDevice) -> set[str]:
    names = {device.name, device.plain_name, device.short_name}
    return {
        *names,
        *(f"{name}, {device.host_api}" for name in names),
        *(f"{name} at {device.port}" for name in names if device.port),
    }


def _listed(devices: list[InputDevice]) -> str:
    return ", ".join(f"{device.index} ({device.stable_name}, {device.host_api})" for device in devices)
