"""Serves the live page on 127.0.0.1: two addresses, `/` and `/state.json`."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from markupsafe import Markup

from weightscope.errors import UnusableFileError
from weightscope.live.state import signature, state
from weightscope.raw import read
from weightscope.report.render import compressed_plotly, environment

# A page of another site that has made its own name point to 127.0.0.1 sends that name (DNS rebinding). The port may be
# any: an SSH tunnel has its own.
_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Watched:
    """The state of one run, read again only when a file has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[tuple[str, int, int], ...] | None = None
        self._body = b""
        self._start, self._number = time.time_ns(), 0

    @property
    def version(self) -> str:
        """Empty before the first state. A page may have that of another server, which had this port before."""
        return f"{self._start}-{self._number}" if self._number else ""

    def body(self, have: str = "") -> bytes:
        """JSON of the newest state with its `version`; empty when that is the one that the page has."""
        with self._lock:
            now = signature(self.path)
            if now != self._seen:
                found = state(self.path)
                self._seen = now
                # A file that cannot be read for a moment takes nothing from the page that has been there.
                if found["status"] != "waiting" or not self.version or now == ():
                    self._number += 1
                    self._body = json.dumps({**found, "version": self.version}, allow_nan=False).encode()
            return b"" if have == self.version else self._body


def page(name: str, every: float) -> bytes:
    """The page as it stands before anything is known of the run."""
    template = environment().get_template("live.html")
    return template.render(name=name, every=every, plotly=Markup(compressed_plotly())).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, watched: Watched, html: bytes) -> None:
        self.watched, self.html, self._told = watched, html, ""
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no news. Anything else is one line, once: the page asks every few seconds."""
        error = sys.exc_info()[1]
        said = " ".join(f"{type(error).__name__}: {error}".split())
        if not isinstance(error, ConnectionError | TimeoutError) and said != self._told:
            self._told = said
            print(f"weightscope-watch: {said}", file=sys.stderr, flush=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "weightscope"
    sys_version = ""
    timeout = 30  # seconds: a connection that says nothing does not stay

    def do_GET(self) -> None:
        server: _Server = self.server  # pyright: ignore[reportAssignmentType]
        if not _HOST.fullmatch(self.headers.get("Host", "")):
            self._answer(403, b"This page is for 127.0.0.1 and localhost only.\n", "text/plain")
            return
        asked = urlsplit(self.path)
        if asked.path == "/":
            self._answer(200, server.html, "text/html; charset=utf-8")
        elif asked.path == "/state.json":
            body = server.watched.body(parse_qs(asked.query).get("have", [""])[0])
            self._answer(200 if body else 204, body, "application/json")
        else:
            self._answer(404, b"There is only / and /state.json.\n", "text/plain")

    def _answer(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if code != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """The terminal is for the address."""


def server(path: Path, port: int, every: float) -> _Server:
    """Listening, not yet serving. UnusableFileError when the port is taken, or `path` is a file and no experiment."""
    if path.is_file():
        read(path, frozenset({"histogram"}))
    try:
        return _Server(port, Watched(path), page(path.name, every))
    except OSError as error:
        raise UnusableFileError(f"port {port} of 127.0.0.1: {error.strerror} (choose another with --port)") from error


def serve(run: str, port: int, every: float) -> None:
    """Until Ctrl-C."""
    path = Path(run).resolve()
    with server(path, port, every) as made:
        chosen = made.server_address[1]
        waits = "" if path.exists() else " (nothing there yet: the page waits for it)"
        print(f"{path}{waits}\nOpen http://127.0.0.1:{chosen}/   Ctrl-C ends it.", flush=True)
        made.serve_forever(poll_interval=0.2)
