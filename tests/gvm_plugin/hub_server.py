"""A hub on this machine: lists repositories and hands out files as the real one does, and fails when told to."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "c" * 40


@dataclass
class Hub:
    """What it holds, how it behaves, and what it was asked. repositories: {repository: {file: bytes}}.

    Files whose name ends in .json are small ones (hash of git), others lie behind a redirect to another host name.
    cut_after: bytes after which it drops each connection; drops: how often, before it behaves. token: the one that
    it wants. status: what it answers to everything, or to files alone (file_status). ranges: whether it honours them.
    sent: bytes of files that went out.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    lie: bool = False
    ranges: bool = True
    status: int = 200
    file_status: int = 200
    token: str = ""
    cut_after: int | None = None
    drops: int = 1_000_000
    html: bool = False
    port: int = 0
    sent: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # (path, Range, Authorization)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listing(self, repository: str) -> dict[str, object]:
        siblings = []
        for name, data in self.repositories[repository].items():
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            row: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": git}
            if not name.endswith(".json"):
                sha = hashlib.sha256(data + b"!" * self.lie).hexdigest()
                row["lfs"] = {"sha256": sha, "size": len(data), "pointerSize": 130}
            siblings.append(row)
        return {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, reachable at `hub.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            hub.asked.append((path, self.headers.get("Range", ""), self.headers.get("Authorization", "")))
            elsewhere = path.startswith("/cdn/")
            if hub.html:
                return self.answer(200, b"<html>Log in to the hotel's network</html>")
            if hub.status != 200:
                return self.answer(hub.status, b"", {"X-Error-Message": "as told"})
            if hub.token and not elsewhere and self.headers.get("Authorization") != f"Bearer {hub.token}":
                gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to it is restricted"}
                return self.answer(401, b"", gated)
            if path.startswith("/api/models/"):
                repository = path.removeprefix("/api/models/")
                if repository not in hub.repositories:
                    return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
                return self.answer(200, json.dumps(hub.listing(repository)).encode())
            if elsewhere:
                repository, name = path.removeprefix("/cdn/").rsplit("/", 1)
                return self.file(hub.repositories[repository][name])
            repository, _, rest = path[1:].partition("/resolve/")
            commit, name = rest.split("/", 1)
            assert commit == COMMIT
            if name.endswith(".json"):
                return self.file(hub.repositories[repository][name])
            place = f"http://localhost:{hub.port}/cdn/{repository}/{name}"
            return self.answer(302, b"", {"Location": place, "X-Repo-Commit": COMMIT})

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def file(self, data: bytes) -> None:
            if hub.file_status != 200:
                return self.answer(hub.file_status, b"")
            start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if hub.ranges else 0
            whole = len(data)
            data = data[start:]
            self.send_response(206 if hub.ranges else 200)
            if hub.ranges:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if hub.cut_after is not None and hub.drops > 0:
                hub.drops -= 1
                data = data[: hub.cut_after]
                self.close_connection = True
            self.wfile.write(data)
            hub.sent += len(data)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Who hangs up in the middle, as some tests do, is no error of ours."""

    server = Server(("127.0.0.1", 0), Handler)
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
