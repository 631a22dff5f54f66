"""What is deployed: a server whose start time is known. `served.py PORT SECONDS RELEASE` accepts connections exactly
SECONDS after its process was made, however long the interpreter took. RELEASE is told by every answer; pages of one
whose name begins with `bad` fail, which a health check by connection does not see.
"""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

SLOW_SECONDS = 1.0


def age() -> float:
    """Seconds since this process was made."""
    made = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return min(60.0, max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - made))


class Page(BaseHTTPRequestHandler):
    """Every path is the same page; `/slow` takes a second."""

    protocol_version = "HTTP/1.1"
    wbufsize = 8192
    release = ""

    def do_GET(self) -> None:
        """Answer in one write."""
        if self.path == "/slow":
            time.sleep(SLOW_SECONDS)
        body = f"release {self.release}".encode()
        self.send_response(500 if self.release.startswith("bad") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingTCPServer):
    """Many connections at once."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    """Wait, then serve until the process is ended."""
    port, seconds, Page.release = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    time.sleep(max(0.0, seconds - age()))
    with Server(("127.0.0.1", port), Page) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
