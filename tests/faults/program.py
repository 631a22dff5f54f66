"""The service that the matrix deploys: a small web server that names its release in every answer.

    python serve.py PORT RELEASE HEALTH

`/health` and every other path answer 200; of a release whose HEALTH is `bad`, other paths answer 500. `/slow/SECONDS`
answers after that time. SIGTERM: what was begun is answered, then it ends. It imports little, because it is started
some thousand times.
"""

import os
import signal
import socket
import sys
import threading
import time

answering = 0
changing = threading.Lock()


def main() -> None:
    """Serve until SIGTERM."""
    port, release, health = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=leave, args=(listener,)).start())
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            time.sleep(60)  # `leave` ends the process
            continue
        threading.Thread(target=answer, args=(connection, release, health == "bad"), daemon=True).start()


def leave(listener: socket.socket) -> None:
    """Accept no more, let what was begun be answered, end."""
    listener.shutdown(socket.SHUT_RDWR)
    deadline = time.monotonic() + 5
    while answering and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0)


def answer(connection: socket.socket, release: str, is_bad: bool) -> None:
    """One request on one connection."""
    global answering
    with changing:
        answering += 1
    try:
        with connection:
            asked = b""
            while b"\r\n\r\n" not in asked:
                part = connection.recv(65536)
                if not part:
                    return
                asked += part
            path = asked.split(b" ", 2)[1].decode()
            if path.startswith("/slow/"):
                time.sleep(float(path.removeprefix("/slow/")))
            status = "500 Internal Server Error" if is_bad and path != "/health" else "200 OK"
            head = f"HTTP/1.1 {status}\r\nx-release: {release}\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n"
            connection.sendall(head.encode())
    except OSError:
        return
    finally:
        with changing:
            answering -= 1


if __name__ == "__main__":
    main()
