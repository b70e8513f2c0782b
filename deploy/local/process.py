"""Child processes with a log file each: none outlives the process that started it, even when that one is killed.

On Linux the kernel sends the death signal when the starting *thread* ends, so children are spawned from the main
thread. Elsewhere only a clean end of the parent stops them.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local import child as child_script

PORTS = range(20_000, 32_000)
"""Below the range kernels take outgoing ports from, so that a killed server gets its own port back."""

LOG_TAIL_LINES = 25


class ChildFailed(RuntimeError):
    """A child process ended early, never became ready, or cannot be started here; says what to look at."""


@dataclass(frozen=True, slots=True)
class User:
    """The unprivileged user a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Child:
    """A running direct child: its name, process and log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def check_running(self) -> None:
        """Raise ChildFailed with the end of the log when the child has ended."""
        if not self.running:
            raise ChildFailed(f"{self.name} ended with exit code {self.process.returncode}\n{tail(self.log)}")

    def wait_ready(self, url: str, *, timeout_s: float = 60.0) -> None:
        """Wait until GET `url` (say http://127.0.0.1:8001/health/ready) answers 200, else raise ChildFailed."""
        deadline = time.monotonic() + timeout_s
        answer = "no answer"
        while time.monotonic() < deadline:
            self.check_running()
            try:
                response = httpx.get(url, timeout=2.0, trust_env=False)
            except httpx.HTTPError as error:
                answer = repr(error)
            else:
                if response.status_code == httpx.codes.OK:
                    return
                answer = f"{response.status_code} {response.text[:500]}"
            time.sleep(0.05)
        raise ChildFailed(f"{self.name} not ready after {timeout_s:g} s: {answer}\n{tail(self.log)}")

    def kill(self) -> None:
        """SIGKILL and reap: what a power cut looks like."""
        self.process.kill()
        self.process.wait()


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: User | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> Child:
    """Start `argv` (no shell) in its own session: Ctrl-C reaches only the parent, which ends it in order."""
    if threading.current_thread() is not threading.main_thread():
        raise ChildFailed(f"{name}: spawn from the main thread, the child would end with this thread")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            _wrapped(argv, user, death_signal),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    return Child(name, process, log)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: User | None = None,
    text: str = "",
    timeout_s: float = 120.0,
) -> str:
    """Run `argv` to its end with `text` as standard input and return its output; ChildFailed when it fails."""
    try:
        done = subprocess.run(
            _wrapped(argv, user, signal.SIGKILL),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise ChildFailed(f"{' '.join(argv)} did not end within {timeout_s:g} s") from slow
    if done.returncode != 0:
        raise ChildFailed(f"{' '.join(argv)} ended with exit code {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def terminate(*children: Child, grace_s: float = 10.0) -> None:
    """SIGTERM to all at once, then SIGKILL to those still running after `grace_s`; all are reaped."""
    for child in children:
        if child.running:
            child.process.terminate()
    deadline = time.monotonic() + grace_s
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        child.kill()


def free_ports(count: int) -> list[int]:
    """`count` different loopback TCP ports, kept for this process and its children until it ends.

    A bound socket that never listens keeps each: who asks for the port alone is refused, and who sets SO_REUSEADDR, as
    servers do, may listen on it. So nobody takes it before its server has started, or while that one starts again.
    """
    ports: list[int] = []
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        keeper = socket.socket()
        try:
            keeper.bind(("127.0.0.1", port))
        except OSError:
            keeper.close()
            continue
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        atexit.register(keeper.close)
        ports.append(port)
        if len(ports) == count:
            return ports
    raise ChildFailed(f"no {count} free ports from {PORTS[0]} to {PORTS[-1]}")


@contextmanager
def locked(path: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold `path` for this process: two servers never share one data folder. The lock ends with the process.

    Who finds it held waits `patience_s` for its end; then it raises ChildFailed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    patient_until = time.monotonic() + patience_s
    with path.open("a") as holder:
        while True:
            try:
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as taken:
                if time.monotonic() >= patient_until:
                    raise ChildFailed(f"another process uses this folder ({path} is locked): end it first") from taken
            time.sleep(0.1)
        yield


def clear_orphans(program: str, tag: str, *, patience_s: float = 10.0) -> None:
    """Wait until no `program` has `tag` in its command line, then kill what is left: the rest of a killed run.

    Only for a tag that names one data folder, and only under that folder's lock.
    """
    deadline = time.monotonic() + patience_s
    while _tagged(program, tag) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in _tagged(program, tag):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while _tagged(program, tag):
        time.sleep(0.05)


def tail(log: Path) -> str:
    """The last lines of a log file, headed by its path."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"--- {log}", *lines[-LOG_TAIL_LINES:]])


def _wrapped(argv: Sequence[str], user: User | None, death_signal: signal.Signals) -> list[str]:
    uid, gid = (user.uid, user.gid) if user else (child_script.KEEP, child_script.KEEP)
    script = [sys.executable, "-I", "-S", child_script.__file__]
    return [*script, str(os.getpid()), str(int(death_signal)), str(uid), str(gid), *argv]


def _tagged(program: str, tag: str) -> list[int]:
    # Zombies have an empty command line, so a process that nobody reaps does not count as running.
    # The program's name is asked for too: an editor or a grep may well show the same tag.
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().decode(errors="replace").replace("\0", " ").split()
            if words and Path(words[0]).name.rstrip(":") == program and any(tag in word for word in words):
                found.append(int(entry.parent.name))
    return found
