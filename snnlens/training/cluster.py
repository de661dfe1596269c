"""Dask's workers for a sweep: processes of this machine, or those of a scheduler. No torch.

A worker process also loads this module, as Dask's preload: see `dask_setup`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from snnlens.errors import InputError, SnnlensError
from snnlens.training.points import Point, fail, reason
from snnlens.training.sweep import Outcome, Work, attempt

Future = Any  # of Dask, whose types differ between its releases
CONNECT_SECONDS = 5
START_SECONDS = 300  # of the workers of this machine, however busy it is
LOOK_SECONDS = 0.5
LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
SILENT = logging.CRITICAL + 1  # what went wrong with a point is said in its folder
LOCAL: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 3,
    "distributed.scheduler.worker-saturation": 1.0,  # a point waits for whoever is free first
    "distributed.scheduler.worker-ttl": None,  # a worker that computes hard is not dead
    "distributed.comm.timeouts.connect": f"{START_SECONDS}s",
    "distributed.scheduler.http.routes": [],  # its web server cannot be left out, its pages can
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,  # it stops the work every 10 ms to look at it
    # Dask's own settings give every 64 kB that are freed back to the system: a training, whose
    # tensors come and go, then waits for pages. One arena, since the work runs in a thread.
    "distributed.nanny.pre-spawn-environ": {
        "MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_ARENA_MAX": "1",
    },
}  # fmt: skip


class Cluster:
    """The crew of a sweep that Dask runs; see `snnlens.training.sweep.run` for the arguments."""

    def __init__(
        self,
        work: Work,
        *,
        workers: int,
        scheduler: str | None,
        threads: int,
        resources: dict[str, float] | None,
        retries: int,
    ) -> None:
        self.work, self.retries, self.resources = work, retries, resources
        self.workers, self.scheduler, self.threads = workers, scheduler, threads
        self.run = uuid.uuid4().hex
        # Here as many as there are processes: Dask would blame one that waits at a busy worker for
        # the death of that worker. How many a scheduler somewhere has, it knows itself.
        self.slots = workers if scheduler is None else math.inf
        self._waiting: list[Point] = []
        self._deaths: dict[str, list[int]] = {}  # of workers, by the point's name
        self._points: dict[Future, Point] = {}
        self._ended: SimpleQueue[Future] = SimpleQueue()  # filled by Dask's own thread
        self._stack = ExitStack()
        self._client: Any = None

    def __enter__(self) -> Cluster:
        try:
            resource_tracker.ensure_running()  # whoever starts it, hears of Ctrl-C again
            with _interrupted_later():
                self._open()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _interrupted_later():
            self._stack.close()

    def _open(self) -> None:
        distributed = _distributed()  # first: loading it sets the levels of its loggers
        self._stack.enter_context(_quiet())
        if self.scheduler is None:
            client = _here(distributed, self.workers, self.threads, self.resources)
        else:
            client = _there(distributed, self.scheduler)
        self._client = self._stack.enter_context(client)
        self._stack.callback(self._cancel)

    def start(self, point: Point) -> None:
        """Hand a point to Dask, as soon as a worker is free."""
        self._waiting.append(point)
        self._submit_waiting()

    def ended(self) -> Sequence[tuple[Point, Outcome]]:
        """Points that have ended; waits for one for half a second."""
        if not self._points:
            return []
        try:
            future = self._ended.get(timeout=LOOK_SECONDS)
        except Empty:
            return []
        point = self._points.pop(future)
        outcome = self._outcome(point, future)
        if outcome is None:
            self._waiting.append(point)
        self._submit_waiting()
        return [] if outcome is None else [(point, outcome)]

    def _submit_waiting(self) -> None:
        while self._waiting and len(self._points) < self.slots:
            self._submit(self._waiting.pop(0))

    def _submit(self, point: Point) -> None:
        """With a new key each time, so that nothing is taken as known."""
        future = self._client.submit(
            attempt, str(point.folder.absolute()), point.params, self.work, self.retries, self.run,
            key=f"{point.name}-{uuid.uuid4().hex}", pure=False, retries=self.retries,
            resources=self.resources,
        )  # fmt: skip
        self._points[future] = point
        future.add_done_callback(self._ended.put)

    def _outcome(self, point: Point, future: Future) -> Outcome | None:
        """How it ended, or None where it is tried again."""
        if future.status == "finished":
            return Outcome(*future.result())
        if future.status != "error":
            raise self._gone()
        error = future.exception()
        why = reason(error)
        if type(error).__name__ == "KilledWorker":
            deaths = self._deaths.setdefault(point.name, [])
            deaths.append(error.allowed_failures + 1)
            if len(deaths) <= self.retries:
                return None
            why = f"{sum(deaths)} worker processes died under it"
        fail(point.folder, why, self.run)
        return Outcome("failed", why)

    def _gone(self) -> SnnlensError:
        return SnnlensError(
            f"the Dask scheduler must stay until the end; got {self.scheduler}, which went away; "
            "whole epochs stay, go on with --resume"
        )

    def _cancel(self) -> None:
        """Take back what has not begun."""
        if self._points:
            self._client.cancel(list(self._points), force=True)
        self._points.clear()


def dask_setup(_worker: object) -> None:
    """In each worker process: what a user reads is said by the parent."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(SILENT)


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Ctrl-C is heard when the block has ended: Dask cannot be stopped while it starts or ends.

    Threads that begin in here, and the worker processes that these start, never hear of it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if heard and callable(before):
        before(signal.SIGINT, None)


@contextmanager
def _here(
    distributed: Any, workers: int, threads: int, resources: dict[str, float] | None
) -> Iterator[Any]:
    """A client of a scheduler of this process, with worker processes."""
    import dask

    with (
        tempfile.TemporaryDirectory(prefix="snnlens-sweep-", ignore_cleanup_errors=True) as folder,
        _environment(threads),
        dask.config.set(LOCAL),
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False},
            local_directory=folder, memory_limit=None, silence_logs=SILENT, preload=[__name__],
            resources=resources,
        ) as cluster,
        distributed.Client(cluster, timeout=START_SECONDS, set_as_default=False) as client,
    ):  # fmt: skip
        try:
            yield client
        finally:
            _end(cluster)


def _end(cluster: Any) -> None:
    """Kill the workers: each has handed back its point, or holds one that may be cut anywhere."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _there(distributed: Any, address: str) -> Iterator[Any]:
    """A client of a scheduler that answers."""
    try:
        # A Client that cannot connect hangs, and does so again when it is collected. The knock runs
        # in a thread: a notebook's own has an event loop already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _knock(distributed, address)).result()
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        # nobody or somebody else there; no address; TLS without certificates; another version
        raise InputError(
            "--scheduler", got=address, wanted="the address of a Dask scheduler that answers",
            do="start one with `dask scheduler` and give the address that it shows",
        ) from error  # fmt: skip
    with client:
        yield client


async def _knock(distributed: Any, address: str) -> None:
    """Whether a program of Dask answers there."""
    how = distributed.Security().get_connection_args("client")
    connecting = distributed.comm.connect(address, timeout=CONNECT_SECONDS, **how)
    comm = await asyncio.wait_for(connecting, CONNECT_SECONDS)
    comm.abort()


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Threads of the workers' numerical libraries, read when these are loaded."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(names, str(threads)) | {"OMP_WAIT_POLICY": "passive"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """No line of Dask or tornado on stderr."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(SILENT)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _distributed() -> Any:
    """Dask's package; a broken installation is no missing one and raises as it is."""
    try:
        return import_module("distributed")
    except ModuleNotFoundError as error:
        if error.name not in {"distributed", "dask"}:
            raise
        raise InputError(
            "a sweep on several workers needs a package that", got="distributed",
            wanted="installed", do="pip install 'snnlens[scale]'",
        ) from error  # fmt: skip
