"""A parent that is killed while it runs a server: what the launchers have to survive."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import sys, time
from pathlib import Path
from deploy.local import embedded_broker, kafka, postgres
servers = {"kafka": kafka, "postgres": postgres, "embedded": embedded_broker}
with servers[sys.argv[1]].serving(Path(sys.argv[2])) as server:
    print("serving", server.pid, flush=True)
    time.sleep(600)
"""


def killed_parent_of(server: str, home: Path) -> int:
    """Start `server` in a process of its own, SIGKILL that one, and return the process id of the server."""
    argv = [sys.executable, "-c", PARENT, server, str(home)]
    parent = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        pid = next(int(line.split()[1]) for line in parent.stdout if line.startswith("serving"))
        assert not ended(pid)
    finally:
        parent.kill()
        parent.communicate()
    return pid


def ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not ended(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return ended(pid)


def ended(pid: int) -> bool:
    """Gone, or a zombie nobody reaps."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
