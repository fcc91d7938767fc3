"""Become another program that ends when its starter ends, even when that is killed with -9.

Run as ``python -I -S tether.py SIGNAL STARTER_PID UID GID -- PROGRAM ARGUMENT...``; UID and GID of
-1 keep the user. On Linux the kernel sends SIGNAL when the *thread* that started this process ends
(prctl(2), PR_SET_PDEATHSIG), so start processes from a thread that lives as long as they do.
A change of user clears that setting, hence the order. Elsewhere the program runs untethered.

Being a process of its own, not a ``preexec_fn``, it is safe to start from programs with threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Drop privileges, tie the life to the starter's, replace this program."""
    death_signal, starter, uid, gid = (int(value) for value in arguments[:4])
    command = arguments[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        # The starter may have died before the line above.
        if os.getppid() != starter:
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
