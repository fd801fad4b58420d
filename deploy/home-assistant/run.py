"""Start of the add-on: turns its options and the broker of Home Assistant into settings, and runs Earshot."""

import json
import os
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

OPTIONS = Path("/data/options.json")
SETTINGS = Path("/config/earshot/earshot.toml")
SUPERVISOR = "http://supervisor"
INGRESS_PROXY = "172.30.32.2"
INGRESS_PORT = 8099
ANSWER_SECONDS = 30.0


def broker(supervisor: str, token: str) -> dict[str, Any] | None:
    """Return host, port, user and password of the broker; None if Home Assistant has none."""
    request = urllib.request.Request(  # noqa: S310 - a fixed address
        f"{supervisor}/services/mqtt", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            content = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code not in {400, 404}:  # these say that there is no such service
            sys.stderr.write(f"the supervisor refuses to name the broker ({error}); going on without MQTT\n")
        return None
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the supervisor does not answer ({error}); going on without MQTT\n")
        return None
    data = content.get("data") if isinstance(content, dict) else None
    return data if isinstance(data, dict) and data.get("host") else None


def named(file: Path) -> set[str]:
    """Return the names of the settings in the settings file; none if it is missing or wrong, which Earshot reports."""
    try:
        return set(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError):
        return set()


def settings(
    options: Mapping[str, Any], mqtt: Mapping[str, Any] | None, in_file: Collection[str] = ()
) -> dict[str, str]:
    """Return the variables of the environment that make these settings.

    An empty option leaves it to the settings file, and so do the node and the broker if the file names them.
    """
    found = {
        "EARSHOT_HEADLESS": "true",
        "EARSHOT_WAIT_FOR_SOURCES": "true",
        "EARSHOT_WEB": f"0.0.0.0:{INGRESS_PORT}",
        "EARSHOT_WEB_INGRESS": INGRESS_PROXY,
    }
    if "node" not in in_file:
        found["EARSHOT_NODE"] = "earshot"
    for option, name in (("sources", "SOURCE"), ("sounds", "WATCH"), ("notify", "NOTIFY")):
        if options.get(option):
            found[f"EARSHOT_{name}"] = json.dumps(options[option], ensure_ascii=False)
    if options.get("model"):
        found["EARSHOT_MODEL"] = str(options["model"])
    if options.get("clips"):
        found["EARSHOT_CLIPS"] = "true"
    if mqtt is not None and "mqtt" not in in_file:
        scheme = "mqtts" if mqtt.get("ssl") else "mqtt"
        host = f"[{mqtt['host']}]" if ":" in str(mqtt["host"]) else mqtt["host"]
        found["EARSHOT_MQTT"] = f"{scheme}://{host}:{mqtt.get('port') or 1883}"
        for key in ("username", "password"):
            if mqtt.get(key):
                found[f"EARSHOT_MQTT_{key.upper()}"] = str(mqtt[key])
    return found


def main() -> None:
    """Replace this process by Earshot."""
    options = json.loads(OPTIONS.read_text(encoding="utf-8"))
    mqtt = broker(SUPERVISOR, os.environ.get("SUPERVISOR_TOKEN", ""))
    environment = {name: value for name, value in os.environ.items() if name != "SUPERVISOR_TOKEN"}
    os.execvpe("earshot", ["earshot"], environment | settings(options, mqtt, named(SETTINGS)))  # noqa: S606, S607


if __name__ == "__main__":
    main()
