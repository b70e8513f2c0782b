"""A folder into which one party puts files: each is taken once, answered beside, and kept; nothing outside is touched.

Whatever is opened is a single name inside a folder that is already open, and no link is followed, so no name leads
anywhere else. One process at a time holds a tray; what a process that died had taken is there for the next.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from libs.runtime.ids import uuid7

TAKEN, DONE = "taken", "done"
RESULT = ".result.json"
NAME = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,123}\.csv"
"""What is taken; any other name is left alone, so a file can be put there as `.part` and renamed once it is whole."""
_WAITING = re.compile(NAME)
_TAKEN = re.compile(rf"[0-9a-f-]{{36}}\.({NAME})")
_PARTY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def parties_in(root: Path) -> list[str]:
    """The names of the folders in `root`, one for each party."""
    with os.scandir(root) as found:
        return sorted(each.name for each in found if each.is_dir(follow_symlinks=False) and _PARTY.fullmatch(each.name))


@contextmanager
def held(root: Path, party: str) -> Iterator[Tray]:
    """The tray of a party; raises BlockingIOError while another process holds it, OSError where it cannot be used."""
    with ExitStack() as stack:
        base = stack.enter_context(_folder(os.fspath(root), None, _FOLDER))
        own = stack.enter_context(_folder(party, base))
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in (TAKEN, DONE):
            with suppress(FileExistsError):
                os.mkdir(name, 0o750, dir_fd=own)
        taken, done = (stack.enter_context(_folder(name, own)) for name in (TAKEN, DONE))
        yield Tray(own, taken, done)


@dataclass(frozen=True, slots=True)
class Tray:
    """The open folders of one party: where it puts files, what was taken, what was answered."""

    own: int
    taken: int
    done: int

    def next(self, settle_seconds: float) -> str:
        """The file to answer now, by the name that it has since it was taken; empty when there is none.

        First what was taken and not answered, then the oldest that has lain still for so long.
        """
        left = sorted(name for name in os.listdir(self.taken) if _TAKEN.fullmatch(name))
        if left:
            return left[0]
        for _, name in sorted(self._waiting(time.time() - settle_seconds)):
            taken = f"{uuid7()}.{name}"
            with suppress(FileNotFoundError):
                os.rename(name, taken, src_dir_fd=self.own, dst_dir_fd=self.taken)
                return taken
        return ""

    def read(self, taken: str, bytes_max: int) -> bytes | None:
        """What the file holds, or its first `bytes_max` bytes and one; None for what is no plain file."""
        try:
            file = os.open(taken, _READ, dir_fd=self.taken)
        except OSError:
            return None
        with os.fdopen(file, "rb") as opened:
            return opened.read(bytes_max + 1) if stat.S_ISREG(os.fstat(file).st_mode) else None

    def answer(self, taken: str, text: str) -> None:
        """Put the answer beside, whole at once, and the file to those that are done."""
        name = name_of(taken)
        draft = f".{name}{RESULT}"
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=self.own)
        with os.fdopen(os.open(draft, _WRITE, 0o640, dir_fd=self.own), "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(draft, f"{name}{RESULT}", src_dir_fd=self.own, dst_dir_fd=self.own)
        os.rename(taken, taken, src_dir_fd=self.taken, dst_dir_fd=self.done)

    def _waiting(self, until: float) -> Iterator[tuple[int, str]]:
        with os.scandir(self.own) as found:
            for each in found:
                if not _WAITING.fullmatch(each.name):
                    continue
                with suppress(FileNotFoundError):
                    seen = each.stat(follow_symlinks=False)
                    if (
                        stat.S_ISREG(seen.st_mode) and seen.st_ctime <= until
                    ):  # the clock of this machine, not of theirs
                        yield seen.st_ctime_ns, each.name


def name_of(taken: str) -> str:
    """The name that a file had when it was put there."""
    found = _TAKEN.fullmatch(taken)
    return found[1] if found else ""


@contextmanager
def _folder(name: str, inside: int | None, flags: int = _FOLDER | os.O_NOFOLLOW) -> Iterator[int]:
    opened = os.open(name, flags, dir_fd=inside)
    try:
        yield opened
    finally:
        os.close(opened)
