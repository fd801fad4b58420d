"""The head of a cluster, started by the scripts of `deploy/ray`: it fails and comes back, and so does everything behind it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.marked_processes import Unit
from support.program import ROOT
from support.ray_cluster import free_port, own_ingress
from support.system import short_folder
from support.waiting import wait_until

from models.errors import ModelError
from models.remote import load_remote

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

READY_SECONDS = 300.0
SILENCE = np.zeros((1, 16_000), np.float32)
SCRIPTS = ROOT / "deploy/ray"
SMALL_STORE = ("--object-store-memory", "80000000")


def config(folder: Path, port: int) -> Path:
    """Write a copy of serve.yaml for one worker on this machine, with windows of a second."""
    content = yaml.safe_load((SCRIPTS / "serve.yaml").read_text(encoding="utf-8"))
    content["http_options"] |= {"host": "127.0.0.1", "port": port}
    (application,) = content["applications"]
    application["args"] |= {"device": "cpu", "engine": "torch", "window_seconds": 1.0, "threads": 1}
    application["deployments"][0]["num_replicas"] = 1
    file = folder / "serve.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def environment(folder: Path, port: int, dashboard_port: int) -> dict[str, str]:
    (folder / "ray").mkdir()
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "EARSHOT_WORKER_FOLDER": str(folder / "tokens"),
        "EARSHOT_HEAD_PORT": str(free_port()),
        "EARSHOT_SERVE_CONFIG": str(config(folder, port)),
        "RAY_TMPDIR": str(folder / "ray"),
        "RAY_DASHBOARD_ADDRESS": f"http://127.0.0.1:{dashboard_port}",
        **own_ingress(folder / "h"),
    }


def status(given: dict[str, str]) -> str:
    """Return the status of the application, as the scripts' user asks for it."""
    script = f". {SCRIPTS / 'environment.sh'}; serve status --name tiny"
    ran = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return str(yaml.safe_load(ran.stdout)["status"]) if ran.returncode == 0 else ran.stderr


def test_workers_and_nodes_find_a_head_that_is_back() -> None:
    with short_folder() as folder:
        port, dashboard_port = free_port(), free_port()
        given = environment(folder, port, dashboard_port)
        own_ports = ("--dashboard-port", str(dashboard_port), "--ray-client-server-port", str(free_port()))
        with (
            Unit(
                str(SCRIPTS / "head.sh"), *own_ports, *SMALL_STORE, environment=given, log=folder / "head.log"
            ) as head,
            Unit(
                *(str(SCRIPTS / "join.sh"), "127.0.0.1", *SMALL_STORE),
                environment=given,
                log=folder / "worker.log",
            ) as worker,
        ):
            head.start()
            worker.start()
            token = folder / "tokens/model-token"

            def answers() -> bool:
                try:
                    tagger = load_remote(f"http://127.0.0.1:{port}", token=token.read_text())
                except (ModelError, OSError):
                    return False
                found = bool(np.isfinite(tagger.in_time(SILENCE, 5.0)).all())
                tagger.close()
                return found

            wait_until(answers, "a worker", READY_SECONDS)
            node = load_remote(f"http://127.0.0.1:{port}", token=token.read_text())
            kept = token.read_text()

            head.stop()
            assert np.isnan(node.in_time(SILENCE, 5.0)).all()

            head.start()
            wait_until(
                lambda: np.isfinite(node.in_time(SILENCE, 5.0)).all(),
                "a worker of the new head",
                READY_SECONDS,
            )
            assert token.read_text() == kept
            wait_until(lambda: status(given) == "RUNNING", "the status of a model with all its workers")
        assert not head.processes.alive()
        assert not worker.processes.alive()
