"""Which microphone is meant, and what it is called for good."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.microphone import VirtualMicrophone

from streamer.errors import DeviceError, SourceError
from streamer.sources import devices, open_source
from streamer.sources.devices import choose_device, find_device, identify
from streamer.sources.portaudio import process

ROOT = Path(__file__).parent.parent


def found(*rows: tuple[int, str, str, int]) -> list[dict[str, object]]:
    """Return a device as PortAudio describes it; the device called default is the default."""
    return [
        {
            "index": index,
            "name": name,
            "host_api": host_api,
            "channels": channels,
            "rate_hz": 48_000.0,
            "is_default": name == "default",
        }
        for index, name, host_api, channels in rows
    ]


DEVICES = identify(
    found(
        (0, "HDA Intel: ALC662 Analog (hw:0,0)", "ALSA", 2),
        (3, "USB PnP Sound Device: Audio (hw:1,0)", "ALSA", 1),
        (4, "USB PnP Sound Device: Audio (hw:2,0)", "ALSA", 1),
        (6, "default", "ALSA", 32),
        (7, "Array (Realtek)", "MME", 2),
        (8, "Array (Realtek)", "ALSA", 2),
    ),
    cards=Path("no such folder"),
)


@pytest.fixture
def _devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "list_devices", lambda: DEVICES)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, 6),
        (3, 3),
        ("DEFAULT", 6),
        ("hda", 0),
        ("HDA Intel", 0),
        ("HDA Intel: ALC662 Analog", 0),
        ("hw:2,0", 4),
        ("usb pnp sound device: audio (hw:1,0), alsa", 3),
        ("Array", 8),
        ("Array (Realtek), MME", 7),
    ],
)
def test_a_device_is_found_by_its_number_or_a_part_of_its_name(wanted: str | int | None, index: int) -> None:
    assert choose_device(DEVICES, wanted).index == index


def test_a_missing_device_is_answered_with_the_list_of_devices() -> None:
    with pytest.raises(
        DeviceError, match="no microphone called Blue Yeti; choose one of 0 .HDA Intel.* 6 .default, ALSA"
    ):
        choose_device(DEVICES, "Blue Yeti")
    with pytest.raises(DeviceError, match="no microphone number 1; choose one of 0 "):
        choose_device(DEVICES, 1)


def test_an_ambiguous_name_is_answered_with_the_candidates() -> None:
    with pytest.raises(
        DeviceError,
        match=r"a is ambiguous: it matches 0 \(HDA.*, 4 \(USB.*name one of them, as in mic:HDA Intel: ALC662 Analog$",
    ):
        choose_device([DEVICES[0], DEVICES[2]], "a")


def test_a_computer_without_a_microphone_is_reported() -> None:
    with pytest.raises(DeviceError, match="--source demo"):
        choose_device([], None)


@pytest.mark.usefixtures("_devices")
@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("mic", "mic"),
        ("mic:0", "HDA Intel"),
        ("mic:hda#2", "HDA Intel 2"),
        ("mic:hw:1,0", "USB PnP Sound Device"),
        ("mic:#1", "mic 1"),
        ("garden=mic:4", "garden"),
    ],
)
def test_a_microphone_is_called_by_its_short_name_or_as_asked(spec: str, name: str) -> None:
    source = open_source(spec)
    assert source.name == name
    assert source.live


@pytest.mark.usefixtures("_devices")
@pytest.mark.parametrize("channel", [0, 3])
def test_a_channel_that_the_device_lacks_is_refused_before_it_is_opened(channel: int) -> None:
    with pytest.raises(DeviceError, match=f"HDA Intel.* has no channel {channel}; choose one from 1 to 2"):
        open_source(f"mic:hda#{channel}")


# Names for good


def plugged(cards: Path, **ports: str) -> Path:
    """Show sound cards as Linux does: card1="usb1/1-2/1-2:1.0"."""
    for card, port in ports.items():
        device = cards.parent / "devices" / port
        device.mkdir(parents=True, exist_ok=True)
        (cards / card).mkdir(parents=True)
        (cards / card / "device").symlink_to(device)
    return cards


def test_a_device_has_a_permanent_name_that_no_other_has(tmp_path: Path) -> None:
    cards = plugged(tmp_path / "sound", card0="0000:00:1f.3", card1="usb1/1-2/1-2:1.0")
    names = [
        device.stable_name
        for device in identify(
            found(
                (0, "HDA Intel: ALC662 Analog (hw:0,0)", "ALSA", 2),
                (1, "Yeti: USB Audio (hw:1,0)", "ALSA", 2),
                (2, "default", "ALSA", 32),
            ),
            cards=cards,
        )
    ]
    assert names == ["HDA Intel: ALC662 Analog", "Yeti: USB Audio", "default"]


def test_one_of_two_equal_devices_is_the_same_after_they_were_plugged_in_in_another_order(
    tmp_path: Path,
) -> None:
    rows = found(
        (0, "Yeti: USB Audio (hw:1,0)", "ALSA", 2),
        (1, "Yeti: USB Audio (hw:2,0)", "ALSA", 2),
        (2, "Yeti: USB Audio (hw:2,1)", "ALSA", 2),
    )
    left, right = "usb1/1-2/1-2:1.0", "usb1/1-2/1-2.1/1-2.1:1.0"
    before = identify(rows, cards=plugged(tmp_path / "before", card1=left, card2=right))
    after = identify(rows, cards=plugged(tmp_path / "after", card1=right, card2=left))
    names = [device.stable_name for device in before]
    assert names == [
        "Yeti: USB Audio at usb-1-2",
        "Yeti: USB Audio at usb-1-2.1",
        "Yeti: USB Audio at usb-1-2.1,1",
    ]
    assert [choose_device(before, name).index for name in names[:2]] == [0, 1]
    assert [choose_device(after, name).index for name in names[:2]] == [1, 0]
    assert choose_device(after, "yeti AT usb-1-2").index == 1
    with pytest.raises(DeviceError, match="Yeti at usb-1 "):
        choose_device(after, "Yeti at usb-1 ")


def test_a_device_that_was_unplugged_is_not_taken_for_the_equal_one_beside_it(tmp_path: Path) -> None:
    cards = plugged(tmp_path / "sound", card1="usb1/1-2/1-2.1/1-2.1:1.0")
    left = identify(found((0, "Yeti: USB Audio (hw:1,0)", "ALSA", 2)), cards=cards)
    with pytest.raises(DeviceError, match="no microphone called Yeti: USB Audio at usb-1-2; choose one of 0"):
        choose_device(left, "Yeti: USB Audio at usb-1-2")
    assert choose_device(left, "Yeti: USB Audio at usb-1-2.1").index == 0


def test_a_name_that_ends_like_a_channel_is_not_a_channel() -> None:
    (device,) = identify(found((0, "Recorder #2", "WASAPI", 1)))
    assert device.stable_name == "Recorder #2, WASAPI"
    assert choose_device([device], device.stable_name) is device


def test_equal_devices_without_a_known_port_are_named_by_number() -> None:
    twins = identify(found((4, "Yeti", "Core Audio", 2), (5, "Yeti", "Core Audio", 2)))
    with pytest.raises(
        DeviceError, match=r"Yeti is ambiguous: it matches 4 .*name one of them, as in mic:4$"
    ):
        choose_device(twins, "Yeti")


# PortAudio's process, asked for the devices


def test_a_missing_portaudio_is_reported_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SourceError, match="apt-get install libportaudio2.*--source demo") as caught:
        open_source("mic")
    assert "\n" not in str(caught.value)


def test_a_driver_that_crashes_when_it_is_asked_takes_nothing_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=r"the sound system: its driver has crashed \(SIGSEGV\)"):
        find_device(None)


def test_output_of_libraries_does_not_mix_with_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = "import os; os.write(1, b'noise'); os.write(2, b'ALSA lib noise' * 20_000)\n"
    (tmp_path / "sounddevice.py").write_text(noise + "raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match="PortAudio is missing"):
        find_device(None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.system
def test_a_sound_server_that_hangs_is_waited_for_no_longer_than_promised(
    pulseaudio_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtual = VirtualMicrophone.start(pulseaudio_folder, 48_000)
    virtual.plug_in(monkeypatch)
    try:
        assert find_device(None).name == "default"
        with virtual.frozen(), monkeypatch.context() as impatience:
            impatience.setattr(process, "_LISTING_SECONDS", 1.0)
            with pytest.raises(DeviceError, match="the sound system has not answered for 1 s; restart it"):
                find_device(None)
        assert find_device(None).name == "default"
    finally:
        virtual.stop()


@pytest.mark.system
def test_asking_for_the_devices_loads_no_portaudio_here(virtual_microphone: VirtualMicrophone) -> None:
    code = (
        "import sys; from streamer.sources.microphone import list_devices; assert list_devices();"
        "print([name for name in ('sounddevice', 'cffi') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=virtual_microphone.environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == (b"[]", b"")
