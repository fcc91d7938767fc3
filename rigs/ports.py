"""TCP ports on loopback: which are free, and the next one when a wanted one is taken."""

import contextlib
import socket

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on ``port`` now.

    A port in TIME_WAIT counts as free, as it does for servers, which set SO_REUSEADDR.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, host: str = LOOPBACK) -> tuple[int, ...]:
    """``count`` different ports that the kernel says are free.

    They are held together while they are chosen, so that they differ; another process may still
    take one before its server starts, which then says so in its log.
    """
    with contextlib.ExitStack() as held:
        sockets = [
            held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            for _ in range(count)
        ]
        for each in sockets:
            each.bind((host, 0))
        return tuple(int(each.getsockname()[1]) for each in sockets)


def free_port(host: str = LOOPBACK) -> int:
    return free_ports(1, host)[0]


def first_free(wanted: int, *, tries: int = 50, host: str = LOOPBACK) -> int:
    """``wanted``, or the next port above it that is free.

    Raises:
        OSError: none of ``tries`` ports is free.
    """
    for port in range(wanted, min(wanted + tries, 65_536)):
        if is_free(port, host):
            return port
    raise OSError(f"no free port between {wanted} and {wanted + tries - 1}")
