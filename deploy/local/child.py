"""The first instants of a child process: give up root, tie its life to its parent, become the program.

Run as a script, standard library only: `child.py PARENT_PID DEATH_SIGNAL UID GID PROGRAM [ARGUMENT...]`.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
KEEP = -1
"""A UID of -1 keeps the user the parent runs as."""


def become(parent: int, death_signal: int, uid: int, gid: int, argv: list[str]) -> None:
    """Replace this process by `argv`; ends it (exit 1) when the parent is already gone."""
    if uid != KEEP:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)
    if sys.platform == "linux":
        # After setuid, which clears it; before getppid, so that a parent lost in between is noticed.
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:5]]
    become(numbers[0], numbers[1], numbers[2], numbers[3], sys.argv[5:])
