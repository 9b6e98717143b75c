"""Descriptors that one process hands to another: no standard streams, and a failure leaves none open."""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["connected_sockets", "sealed_memory"]


def sealed_memory(size: int) -> int:
    """Return a descriptor of shared memory without a name that nobody can shrink below a reader's feet.

    Raises:
        OSError: where there is no memory, or no descriptor, for it.
    """
    import fcntl  # POSIX alone has it

    memory = _above_standard(os.memfd_create("flowtell-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    try:
        os.ftruncate(memory, size)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(memory)
        raise
    return memory


def connected_sockets() -> tuple[socket.socket, socket.socket]:
    """Return two sockets that are connected to each other.

    Raises:
        OSError: where there is no descriptor for one.
    """
    with contextlib.ExitStack() as ends:
        pair = socket.socketpair()
        for end in pair:
            ends.enter_context(end)
        first, second = (
            ends.enter_context(socket.socket(fileno=_above_standard(end.detach()))) for end in pair
        )
        ends.pop_all()
    return first, second


def _above_standard(descriptor: int) -> int:
    """Return the descriptor, moved to 3 or more: a child's standard streams would hide it below.

    Numbers below are given out where a host has closed its own standard streams.
    """
    import fcntl  # POSIX alone has it

    if descriptor > 2:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)
