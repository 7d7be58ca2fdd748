"""The embedded teacher: llama.cpp in child processes with one GGUF file; `local_model` fetches the usual one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

from tunixhack._util.child_process import end, spawn
from tunixhack.errors import MissingExtra, UserError

LOG_TAIL = 16_384
OUT_OF_MEMORY = ("insufficient memory", "failed to allocate", "bad_alloc")


class EmbeddedServer:
    """llama.cpp's OpenAI-compatible server with one model, in a child process that dies with this one.

    Args:
        model: a GGUF file.
        slots: answers generated at once, and the largest ``n`` of a request.
        context: tokens of each slot, prompt and answer together. Memory for it is taken at the start: 23 kB a token
            with SmolLM2-135M, 0.75 GB for 16 slots of 2,048, and a quarter less with small keys.
        small_keys: keep the cache's keys in 8 bits (Q8_0) instead of 16. Sixteen answers of SmolLM2-135M at once are
            written a tenth faster on two cores, since attention is bound by reading them. Heads must have a multiple
            of 32 numbers.
        threads: that compute; None for as many as there are cores.

    Raises:
        MissingExtra: xllamacpp is not installed.
        UserError: the model cannot be loaded.

    Use it as a context manager::

        with EmbeddedServer(fetch_local()) as server:
            requests.post(f"{server.url}/chat/completions", json=...)
    """

    def __init__(
        self,
        model: Path,
        slots: int = 16,
        context: int = 2048,
        *,
        small_keys: bool = False,
        threads: int | None = None,
    ) -> None:
        self.model, self.slots, self.context = model, slots, context
        self.small_keys, self.threads = small_keys, threads or usable_cores()
        self.url = ""
        """The base address, ending in ``/v1``, once it is started."""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> EmbeddedServer:
        """Start the process and wait until the model is loaded: 2 s for SmolLM2, else what the disk takes."""
        try:
            self.start()
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the process."""
        self.stop()

    def alive(self) -> bool:
        """Return whether the process runs; False after it died."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, which then loads the model; `wait` has to follow, and `stop` in the end."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("local", "the embedded teacher")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (stop closes it)
        arguments = ["--slots", str(self.slots), "--context", str(self.context), "--threads", str(self.threads)]
        if self.small_keys:
            arguments.append("--small-keys")
        model = str(self.model.resolve())
        self._process = spawn("tunixhack.teachers.local.llama_server", model, *arguments, stderr=self._log)

    def wait(self) -> None:
        """Wait until the started process answers."""
        assert self._process is not None
        assert self._process.stdout is not None
        address = self._process.stdout.readline().decode().strip()
        if not address:
            self._process.wait()
            raise UserError(self._why_not_loaded(self._process.returncode))
        self.url = f"{address}/v1"

    def stop(self) -> None:
        """End the process at once, with whatever it is answering. Can be called twice."""
        if self._process is not None:
            end(self._process)
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def _why_not_loaded(self, code: int) -> str:
        assert self._log is not None
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), LOG_TAIL, max(0, size - LOG_TAIL)).decode(errors="replace")
        if code == -9 or any(sign in tail for sign in OUT_OF_MEMORY):
            return (
                f"{self.model} does not fit the memory of this machine with {self.slots} answers of {self.context:,} "
                "tokens at once: take a smaller model"
            )
        # the first of llama.cpp's errors is the cause, those after it only follow from it
        causes = [line.partition("error loading model: ")[2] for line in tail.splitlines()]
        last = next((line for line in reversed(tail.splitlines()) if line.strip()), f"exit code {code}")
        cause = next(filter(None, causes), last)
        return f"llama.cpp cannot load {self.model}: {cause.strip()}; fetch or convert the file again"


@contextmanager
def serve_copies(
    model: Path, copies: int, *, slots: int, context: int, small_keys: bool
) -> Iterator[list[EmbeddedServer]]:
    """Serve a small model from several processes, which share the cores and the slots.

    Each computes without waiting for the others: with two of one thread each, SmolLM2-135M writes a quarter more
    tokens on two cores than one process of two threads does, in which one thread waits at every layer, and while the
    other one samples. The model's weights take memory in each.

    Args:
        model: a GGUF file.
        copies: how many processes.
        slots: answers generated at once, in all of them together.
        context: tokens of each slot.
        small_keys: as of `EmbeddedServer`.

    Raises:
        MissingExtra: xllamacpp is not installed.
        UserError: the model cannot be loaded.
    """
    threads = max(1, usable_cores() // copies)
    servers = [
        EmbeddedServer(model, slots // copies, context, small_keys=small_keys, threads=threads) for _ in range(copies)
    ]
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        for server in servers:
            server.wait()
        yield servers


def usable_cores() -> int:
    """Count the cores that this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
