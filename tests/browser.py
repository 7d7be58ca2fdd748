"""A real browser for tests of pages: Chromium without a window, driven over two pipes by its own protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WHY_NOT = f"no browser is here ({', '.join(NAMES)}): install one, such as Debian's package chromium"


class Browser:
    """One tab; what the page asked for and complained of is kept.

    Args:
        sending: the pipe that the browser reads.
        receiving: the one that it writes.
    """

    def __init__(self, sending: int, receiving: int) -> None:
        self._out, self._in = sending, receiving
        self._number, self._read = 0, b""
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol, and return its result."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._in, 1 << 20)
            assert more, "the browser has ended"
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told

    def look(self, wide: int = 1280, high: int = 900, *, dark: bool = False) -> None:
        """Set the size of the window, and whether its reader prefers dark pages."""
        self("Emulation.setDeviceMetricsOverride", width=wide, height=high, deviceScaleFactor=1, mobile=wide < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path) -> None:
        """Open a file, and wait until it is loaded and its rows are shown."""
        self.events.clear()
        self("Page.navigate", url=path.resolve().as_uri())
        self.until(
            "document.readyState === 'complete' && (document.documentElement.dataset.ready !== undefined"
            " || document.getElementById('status')?.textContent.startsWith('The rows cannot'))"
        )

    def run(self, script: str) -> Any:
        """Run a script in the page, and return the value of its last expression, awaited."""
        found = self("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a condition holds in the page; the test's own bound is the longest."""
        waiting = f"new Promise(go => {{ const look = () => ({condition}) ? go(1) : setTimeout(look, 10); look(); }})"
        while True:
            try:
                self.run(waiting)
                return
            except AssertionError as error:  # the page that was waited in was left
                if not any(told in str(error) for told in ("navigat", "destroyed", "Cannot find")):
                    raise

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write what is seen as a PNG file; of the whole page where that is wanted."""
        shown = self("Page.captureScreenshot", captureBeyondViewport=whole, format="png")
        path.write_bytes(base64.b64decode(shown["data"]))

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the page was opened."""
        return [
            one["params"]["request"]["url"] for one in self.events if one.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return errors, warnings, refusals and dialogs since the page was opened."""
        kinds = (
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Page.javascriptDialogOpening",
            "Runtime.consoleAPICalled",
        )
        return [json.dumps(one["params"])[:500] for one in self.events if one.get("method") in kinds]


def find() -> str | None:
    """Return the path of a browser; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser; the test is skipped where there is none."""
    found = find()
    if found is None:
        pytest.skip(WHY_NOT)
    to_it, ours = os.pipe()
    from_it, its = os.pipe()

    def in_place() -> None:
        # the protocol's pipes are the descriptors 3 and 4, by definition; these copies are above them
        high = [os.dup(os.dup(os.dup(one))) for one in (to_it, its)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [found, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}", "--no-first-run"]
        command += ["--no-sandbox"] * (os.geteuid() == 0) + ["--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--disable-background-networking", "--disable-component-update", "--no-default-browser-check"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, preexec_fn=in_place, close_fds=False, **quiet)  # type: ignore[call-overload]
        os.close(to_it)
        os.close(its)
        try:
            yield Browser(ours, from_it)
        finally:
            os.close(ours)
            process.terminate()
            process.wait(60)
            os.close(from_it)
