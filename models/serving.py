"""Workers: the tagger as a deployment of Ray Serve. The only importer of ray.

``serve deploy deploy/ray/serve.yaml`` starts it; see docs/scale-out.md.
"""

import asyncio
import hashlib
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict
from ray import get_runtime_context, serve
from starlette.requests import Request
from starlette.responses import Response

from .batch_scoring import LARGEST_BATCH, BatchScoring, Floats, Task, Wanted
from .errors import ModelError
from .fingerprint import fingerprint_of
from .local import AUTO, load_tagger
from .score_protocol import (
    EMBED_PATH,
    FINGERPRINT,
    MODEL_PATH,
    SCORE_PATH,
    WITH_EMBEDDING,
    WORKER,
    ModelDescription,
    RequestError,
    decode_windows,
    encode_scores,
    most_request_bytes,
    number_of_windows,
    require_token,
    token_of,
)
from .tagger import Tagger

MOST_ONGOING_REQUESTS = 128
"""Requests that a worker takes at once: with Ray's default of 5, no batch is ever full."""
_BATCH_WAIT_SECONDS = 0.002
_REQUEST_SECONDS = 5.0
"""Longest time for the content of a request to arrive."""


def _check_model(model: str) -> str:
    if model == AUTO:
        raise ValueError(
            "must be the name of a model: with auto, machines of different speed would choose different ones"
        )
    return model


class WorkerOptions(BaseModel):
    """Options of an application, the ``args`` of deploy/ray/serve.yaml.

    Attributes
    ----------
    model, device, engine, precision, window_seconds, offline
        As for `load_tagger`.
    token : {"required", "none"}
        ``none`` lets everyone who reaches the port use the workers.
    threads : int, optional
        Threads that a worker computes with; by default as many as its ``num_cpus``, or as the machine has processors if that is 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, AfterValidator(_check_model)] = "tiny"
    device: str = "auto"
    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "fp32"
    window_seconds: float | None = None
    offline: bool = False
    token: Literal["required", "none"] = "required"  # noqa: S105 - a choice
    threads: int | None = None


def _free_threads() -> int | None:
    """Return the number of processors, if Ray has limited OpenMP to one because ``num_cpus`` is 0; else None."""
    if os.environ.get("OMP_NUM_THREADS") != "1" or get_runtime_context().get_assigned_resources().get("CPU"):
        return None
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()


class Worker:
    """Replica that scores windows.

    Parameters
    ----------
    options : WorkerOptions
        Options.

    Raises
    ------
    ModelError
        The model can't be loaded, or there is no token.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._token = _token(options)
        threads = options.threads or _free_threads()
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        tagger = self.load(options)
        description = ModelDescription(
            name=tagger.name,
            labels=tagger.labels,
            thresholds=None if tagger.thresholds is None else tuple(map(float, tagger.thresholds)),
            window_samples=tagger.window_samples,
            fingerprint=self.fingerprint(options),
            largest_batch=LARGEST_BATCH,
        )
        self._scoring = BatchScoring(tagger, description)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tagger")

    def load(self, options: WorkerOptions) -> Tagger:
        """Load the model."""
        return load_tagger(
            options.model,
            device=options.device,
            engine=options.engine,
            precision=options.precision,
            window_seconds=options.window_seconds,
            offline=options.offline,
        )

    def fingerprint(self, options: WorkerOptions) -> str:
        """Return a text that differs between models, and between lengths of windows other than a model's own."""
        fingerprint = fingerprint_of(options.model, offline=True)
        if options.window_seconds is None:
            return fingerprint
        return hashlib.sha256(f"{fingerprint} {options.window_seconds:g}".encode()).hexdigest()

    async def __call__(self, request: Request) -> Response:
        """Answer a request of a node."""
        try:
            require_token(request.headers.get("Authorization"), self._token)
            content = await self._content(request)
        except RequestError as error:
            return Response(str(error), error.status, media_type="text/plain")
        return Response(
            content,
            headers={FINGERPRINT: self._scoring.description.fingerprint, WORKER: self._name},
            media_type="application/octet-stream",
        )

    async def check_health(self) -> None:
        """Score a known sound; Ray replaces a worker that can't."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._scoring.check)

    async def _content(self, request: Request) -> bytes:
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        match request.method, path:
            case "GET", "/v1/model":
                return self._scoring.description.to_json()
            case "POST", "/v1/score" | "/v1/embed":
                return await self._rows(request, _wanted(path, request))
            case _, "/v1/model" | "/v1/score" | "/v1/embed":
                raise RequestError(
                    HTTPStatus.METHOD_NOT_ALLOWED,
                    f"use GET {MODEL_PATH}, or POST {SCORE_PATH} or {EMBED_PATH}",
                )
        raise RequestError(
            HTTPStatus.NOT_FOUND, f"use GET {MODEL_PATH}, or POST {SCORE_PATH} or {EMBED_PATH}"
        )

    async def _rows(self, request: Request, wanted: Wanted) -> bytes:
        description = self._scoring.description
        count = number_of_windows(request.headers, description)
        body = await _body(request, most_request_bytes(description))
        windows = decode_windows(body, count, description.window_samples)
        self._scoring.admit(count)
        try:
            rows = await asyncio.gather(*[self._row(Task(window, wanted)) for window in windows])
        finally:
            self._scoring.release(count)
        return b"".join(map(encode_scores, rows))

    @serve.batch(max_batch_size=LARGEST_BATCH, batch_wait_timeout_s=_BATCH_WAIT_SECONDS)  # type: ignore[untyped-decorator]
    async def _row(self, tasks: list[Task]) -> list[Floats]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._scoring.score, tasks)


def worker_deployment(worker: type[Worker] = Worker) -> serve.Deployment:
    """Return the deployment of a kind of worker, without its options."""
    return serve.deployment(
        worker,
        max_ongoing_requests=MOST_ONGOING_REQUESTS,
        health_check_period_s=1.0,
        health_check_timeout_s=5.0,
        graceful_shutdown_wait_loop_s=1.0,
        graceful_shutdown_timeout_s=10.0,
        rolling_update_percentage=1.0,  # one by one, an update would wait for machines that have not joined
    )


def app(options: dict[str, Any]) -> serve.Application:
    """Return the application of a Serve config, with its ``args`` as options.

    Raises
    ------
    ModelError
        An option is unknown or invalid.
    """
    try:
        chosen = WorkerOptions.model_validate(options)
    except ValueError as error:
        raise ModelError(f"the args of the Serve config are not valid: {error}") from None
    return worker_deployment().bind(chosen)


async def _body(request: Request, most_bytes: int) -> bytes:
    """Return the content of a request.

    Raises
    ------
    RequestError
        It is too long, or does not arrive.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(_REQUEST_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most_bytes:
                    raise RequestError(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {most_bytes} bytes"
                    )
    except TimeoutError:
        raise RequestError(HTTPStatus.REQUEST_TIMEOUT, "the content of the request did not arrive") from None
    return bytes(content)


def _wanted(path: str, request: Request) -> Wanted:
    """Return the content of the rows that a request asks for."""
    if path == EMBED_PATH:
        return "embedding"
    return "both" if request.query_params.get(WITH_EMBEDDING) == "1" else "scores"


def _token(options: WorkerOptions) -> str | None:
    if options.token == "none":  # noqa: S105 - no token
        return None
    token = token_of(os.environ)
    if token is None:
        raise ModelError(
            "a worker needs a token: set EARSHOT_MODEL_TOKEN or EARSHOT_MODEL_TOKEN_FILE for ray start, or token: none in the Serve "
            "config, which lets everyone who reaches the port use it"
        )
    return token
