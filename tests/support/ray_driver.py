"""Process that runs a Ray cluster on this machine: ``python -m support.ray_driver``, with a command in JSON on each line of its input.

A head without work, and a node for each worker, as `deploy/ray` starts them on machines of their own.
"""

import json
import logging
import sys
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster

from models.serving import WorkerOptions, worker_deployment
from support.ray_driver_mark import MARK

_STORE_BYTES = 80_000_000


def main() -> None:
    """Carry out commands until the input ends."""
    cluster: Cluster | None = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            match command.pop("do"):
                case "start":
                    cluster = _start(**command)
                case "add":
                    assert cluster is not None
                    cluster.add_node(wait=False, **_worker())
                case "deploy":
                    _deploy(**command)
            reply = ""
        except Exception as error:  # noqa: BLE001 - the test that sent the command reports it
            reply = f"{type(error).__name__}: {error}"
        print(MARK + json.dumps(reply), flush=True)  # noqa: T201


def _start(port: int, workers: int, **options: Any) -> Cluster:
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": _STORE_BYTES},
    )
    for _ in range(workers):
        cluster.add_node(**_worker())
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    _deploy(**options)
    return cluster


def _worker() -> dict[str, Any]:
    return {"num_cpus": 1, "resources": {"worker": 1}, "object_store_memory": _STORE_BYTES}


def _deploy(most: int, **options: Any) -> None:
    deployment = worker_deployment().options(
        num_replicas=most,
        max_replicas_per_node=1,
        ray_actor_options={"num_cpus": 0, "resources": {"worker": 1}},
    )
    serve._run(deployment.bind(WorkerOptions(**options)), _blocking=False)


if __name__ == "__main__":
    main()
