"""The program that becomes supervisord: detached from whoever started it, and only one per run directory.

    python -m deployments.adapters.supervisor.daemon RUN_DIRECTORY

It prints the pid of the detached process. State directory and settling time come in the environment: supervisord's
configuration format cannot carry every path.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

STATE_VARIABLE = "FAIRLEAD_STATE_DIRECTORY"
SETTLE_VARIABLE = "FAIRLEAD_SETTLE_SECONDS"
SOCKET = "supervisor.sock"
LOG = "supervisord.log"
OUTPUT = "supervisord.out"
LOCK = "supervisord.lock"
LOCK_SECONDS = 20.0

CONFIGURATION = f"""\
; Written by Fairlead. Instances are not listed here: the supervisor keeps them itself, under the state directory.
[unix_http_server]
file = {SOCKET}
chmod = 0700

[supervisord]
identifier = fairlead
nodaemon = true
silent = true
nocleanup = true
minfds = 64
minprocs = 1
logfile = {LOG}
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = supervisord.pid

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:fairlead]
supervisor.rpcinterface_factory = deployments.adapters.supervisor.interface:make_interface
"""


def main(run_directory: Path) -> None:
    """Detach and serve."""
    pid = os.fork()
    if pid:
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        os._exit(0)
    os.setsid()
    os.chdir(run_directory)
    _redirect_output()
    _reset_signals()
    lock = _take_lock()
    Path("supervisord.conf").write_text(CONFIGURATION, encoding="ascii")
    os.umask(0o022)
    _serve()
    os.close(lock)


def _redirect_output() -> None:
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _reset_signals() -> None:
    """The starter may have ignored or blocked signals; its choice is not ours."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _take_lock() -> int:
    """Held for life, beside the records: a second supervisor for them ends here."""
    descriptor = os.open(Path(os.environ[STATE_VARIABLE]) / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Also held, for a moment, by a process that a killed supervisor had just forked.
            if time.monotonic() > deadline or _another_answers():
                raise SystemExit("another supervisor serves this state directory") from None
            time.sleep(0.02)
        else:
            return descriptor


def _another_answers() -> bool:
    """Whether the holder of the lock serves: then this one must not wait to come after it, when it is told to stop."""
    from deployments.adapters.supervisor.rpc import SupervisorCalls  # noqa: PLC0415 - it imports this module
    from deployments.domain.errors import SupervisorUnavailable  # noqa: PLC0415

    try:
        SupervisorCalls(Path.cwd(), timeout_seconds=1.0).call("ping")
    except SupervisorUnavailable:
        return False
    return True


def _serve() -> None:
    from supervisor import supervisord  # noqa: PLC0415 - only the detached process pays for it

    supervisord.main(["-c", "supervisord.conf"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
