"""The scripted teacher as a test uses it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import urllib.request
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any

from tunixhack._util.child_process import end, spawn
from tunixhack.testing.behaviour import Behaviour
from tunixhack.testing.server import Answer, Server


class ScriptedTeacher:
    """An OpenAI-compatible server on 127.0.0.1 whose answers are a pure function of (messages, seed).

    Args:
        answer: from (messages, seed) to the whole content of a choice, instead of the script's; only in a thread.
        process: run it in a process of its own, where it does not share a core with its client's Python; it ends with
            this process. Else it runs in a thread.
        port: 0 for a free one.
        behaviour: fields of `Behaviour`, for example ``style="think"`` or ``faults=Faults(share={"500": 0.1})``.

    Raises:
        TypeError: a field that `Behaviour` does not have.
        OSError: the port is taken.

    >>> import urllib.request, json
    >>> with ScriptedTeacher(style="none") as teacher:
    ...     body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "seed": 7, "n": 2}).encode()
    ...     reply = urllib.request.urlopen(f"{teacher.url}/chat/completions", body).read()
    ...     len(json.loads(reply)["choices"]), teacher.stats["choices"]
    (2, 2)
    """

    def __init__(self, *, answer: Answer | None = None, process: bool = False, port: int = 0, **behaviour: Any) -> None:
        if answer is not None and process:
            raise TypeError("answer= is a function of this process: use process=False")
        self.behaviour = replace(Behaviour(), **behaviour)
        self.url = ""
        """The base address, ending in ``/v1``, once it is started."""
        self._answer, self._in_process, self._port = answer, process, port
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> ScriptedTeacher:
        """Start to listen."""
        self.url = f"{self._start_process() if self._in_process else self._start_thread()}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and hang up on whoever is still waiting."""
        self.stop()

    @property
    def stats(self) -> dict[str, Any]:
        """The requests that it has seen; the keys are the fields of `tunixhack.testing.server.Stats`."""
        stats: dict[str, Any] = self._ask("/stats")
        return stats

    def reset(self) -> None:
        """Forget what it has seen, so that first attempts are first ones again."""
        self._ask("/reset", b"")

    def change(self, **behaviour: Any) -> None:
        """Change the behaviour from the next request on: ``teacher.change(faults=Faults(always="500"))``."""
        self.behaviour = replace(self.behaviour, **behaviour)
        self._ask("/behaviour", json.dumps(asdict(self.behaviour)).encode())

    def stop(self) -> None:
        """Stop listening. Can be called twice."""
        if self._process is not None:
            end(self._process)
            self._process = None
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = self._thread = None

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        # not through a proxy of the environment's: it is on this machine
        straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with straight.open(self.url.removesuffix("/v1") + path, body, timeout=30) as response:
            return json.load(response)

    def _start_process(self) -> str:
        arguments = ["--port", str(self._port), "--with-parent", "--behaviour", json.dumps(asdict(self.behaviour))]
        self._process = spawn("tunixhack.testing", *arguments)
        assert self._process.stdout is not None
        address = self._process.stdout.readline().decode().strip().removesuffix("/v1")
        if not address:
            self.stop()
            raise OSError(f"the scripted teacher did not start on port {self._port}")
        return address

    def _start_thread(self) -> str:
        loop = asyncio.new_event_loop()
        server = Server(self.behaviour, self._answer)
        try:
            listening = loop.run_until_complete(server.listen(self._port))
        except OSError:
            loop.close()
            raise

        def serve() -> None:
            loop.run_forever()
            listening.close()
            server.hang_up()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

        self._loop, self._thread = loop, threading.Thread(target=serve, name="scripted-teacher", daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
