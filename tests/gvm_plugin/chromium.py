"""A browser to test pages in: chromium without a window, spoken to by its DevTools protocol. Standard library alone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
START_SECONDS = 30.0
KEYS = {
    "Space": (" ", 32), "Enter": ("Enter", 13), "Tab": ("Tab", 9), "ArrowRight": ("ArrowRight", 39),
    "ArrowLeft": ("ArrowLeft", 37), "ArrowUp": ("ArrowUp", 38), "ArrowDown": ("ArrowDown", 40),
}  # fmt: skip


class Page:
    """One page of the browser."""

    def __init__(self, url: str) -> None:
        """Connect to the DevTools address `url` (ws://...), by RFC 6455."""
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._socket.recv(1)
        assert b" 101 " in head.splitlines()[0], head
        self._count = 0
        self.problems: list[str] = []  # exceptions on the page, and what it wrote to the console as an error

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer of the browser to a command."""
        self._count += 1
        self._send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            message = json.loads(self._receive())
            if message.get("id") == self._count:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression on the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, path: Path) -> None:
        """Load the file `path` and wait for it."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.run("window.leaving = true")
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("!window.leaving && document.readyState === 'complete' && location.protocol === 'file:'")

    def wait(self, script: str, seconds: float = 10.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, (
                f"still not true after {seconds:g} s: {script}; {self.run('document.body.innerText')}"
            )
            time.sleep(0.03)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press and let go a key: a name in KEYS, or a character. modifiers: 8 for Shift."""
        text, code = KEYS.get(key, (key, ord(key[0].upper())))
        typed = {"text": "\r" if key == "Enter" else text} if len(text) == 1 or key == "Enter" else {}
        common = {"key": text, "code": key if key in KEYS else f"Key{key}", "windowsVirtualKeyCode": code}
        common["modifiers"] = modifiers
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Type characters."""
        for character in text:
            self.press(character)

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """Make the page that large, and light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        """Write a PNG of what is seen."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def downloads_to(self, folder: Path) -> None:
        """Let the page save files there."""
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _note(self, message: dict[str, Any]) -> None:
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.problems.append(message["params"]["entry"]["text"])

    def _send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        assert len(data) < 65536, "too long for a command"
        self._socket.sendall(b"\x81" + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    def _receive(self) -> bytes:
        whole = b""
        while True:
            first, second = self._read(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._read(2 if size == 126 else 8), "big")
            part = self._read(size)
            if first & 0x0F in (0, 1):
                whole += part
                if first & 0x80:
                    return whole

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, "the browser hung up"
            data += more
        return data


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A page in a fresh browser that keeps its profile in `folder`."""
    assert PROGRAM is not None
    process = subprocess.Popen(
        [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--remote-debugging-port=0",
         "--no-first-run", f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        page = Page(_address(folder / "DevToolsActivePort", process))
        try:
            yield page
        finally:
            with suppress(AssertionError, OSError):
                page.call("Browser.close")
            page.close()
    finally:
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None:
            process.kill()
            process.wait()


def _address(told: Path, process: subprocess.Popen[bytes]) -> str:
    """The DevTools address of the browser's one page."""
    end = time.monotonic() + START_SECONDS
    while not (told.is_file() and len(told.read_text().split()) == 2):
        assert process.poll() is None and time.monotonic() < end, "the browser didn't start"
        time.sleep(0.05)
    port = told.read_text().split()[0]
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
            pages = [target for target in json.load(answer) if target["type"] == "page"]
        if pages:
            return str(pages[0]["webSocketDebuggerUrl"])
        assert time.monotonic() < end, "the browser opened no page"
        time.sleep(0.05)
