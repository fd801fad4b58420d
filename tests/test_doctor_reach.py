"""The checks of `doctor` of what reaches people: the page, and notifications."""

import os
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.program import command
from support.system import free_port

from streamer.doctor.reach import check_notifications, check_page, check_reach
from streamer.settings.schema import Settings
from web.passwords import hash_password

HASH = hash_password("correct horse")
SECRET = "s3cr3t-topic"


def settings(**given: Any) -> Settings:
    return Settings.model_validate(given)


def test_what_is_off_is_not_checked() -> None:
    assert list(check_reach(settings())) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"web": "{}"}, "only this machine may open it"),
        ({"web": "0.0.0.0:{}", "web_password": HASH}, "browsers need the password"),
        ({"web": "0.0.0.0:{}", "web_ingress": "172.30.32.2"}, "only the proxy 172.30.32.2 and this machine"),
    ],
)
def test_a_page_with_a_free_port_is_fine_and_says_who_may_open_it(given: dict[str, str], words: str) -> None:
    result = check_page(settings(**{**given, "web": given["web"].format(free_port())}))
    assert (result.state, words in result.found) == ("ok", True)


def test_a_port_in_use_is_a_warning_and_an_address_of_another_machine_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = check_page(settings(web=str(taken.getsockname()[1])))
    assert (result.state, "is in use" in result.found) == ("warning", True)
    elsewhere = check_page(settings(web=f"192.0.2.1:{free_port()}", web_password=HASH))
    assert (elsewhere.state, "give web a free port" in elsewhere.advice) == ("failed", True)


def test_addresses_and_the_command_are_checked_and_nothing_is_sent(tmp_path: Path) -> None:
    fine = check_notifications(
        settings(notify=[f"json://127.0.0.1:{free_port()}/{SECRET}"], notify_command="sh -c true")
    )
    assert (fine.state, fine.found) == ("ok", "JSON (json), the command sh; nothing was sent")
    unknown = check_notifications(settings(notify=[f"quux://{SECRET}"]))
    assert (unknown.state, SECRET in unknown.advice) == ("failed", False)
    missing = check_notifications(settings(notify_command=[str(tmp_path / "missing")]))
    assert (missing.state, "can't be run" in missing.found) == ("failed", True)
    empty = tmp_path / "addresses"
    empty.write_text("# none yet\n")
    assert check_notifications(settings(notify_file=empty)).state == "warning"
    empty.unlink()
    assert check_notifications(settings(notify_file=empty)).state == "failed"


@pytest.mark.slow
def test_doctor_names_a_file_of_addresses_that_others_can_read(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "addresses"
    file.write_text(f"json://127.0.0.1:{free_port()}/{SECRET}\n")
    file.chmod(stat.S_IRUSR | stat.S_IROTH)
    result = subprocess.run(
        command("doctor", "--source", "demo", "--headless", "--model", "tiny", "--web", str(free_port())),
        env={**os.environ, **environment, "EARSHOT_NOTIFY_FILE": str(file)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "only this machine may open it" in result.stdout
    assert "JSON (json); nothing was sent" in result.stdout
    assert f"other users can read the secret in {file}" in " ".join(result.stdout.split())
    assert SECRET not in result.stdout + result.stderr
