"""Descriptors that one process hands to another: no standard streams, and a failure leaves none open."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

__all__ = ["connected_sockets", "sealed_memory"]

# Linux's own numbers (linux/memfd.h, linux/fcntl.h): not every Python names them
_CLOEXEC, _ALLOW_SEALING = 1, 2
_ADD_SEALS, _SEAL_SEAL, _SEAL_SHRINK, _SEAL_GROW = 1033, 1, 2, 4


def sealed_memory(size: int) -> int:
    """Return a descriptor of shared memory without a name that nobody can shrink below a reader's feet.

    Raises:
        OSError: where there is no memory, or no descriptor, for it.
    """
    import fcntl  # POSIX alone has it

    memory = _above_standard(_unnamed_memory())
    try:
        os.ftruncate(memory, size)
        fcntl.fcntl(memory, _ADD_SEALS, _SEAL_SEAL | _SEAL_SHRINK | _SEAL_GROW)
    except BaseException:
        os.close(memory)
        raise
    return memory


def _unnamed_memory() -> int:
    name, flags = "flowtell-frames", _CLOEXEC | _ALLOW_SEALING
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, flags)
    # Pythons built against a glibc before 2.27, as conda's, do not have what the C library here has
    import ctypes

    create = getattr(ctypes.CDLL(None, use_errno=True), "memfd_create", None)
    memory = -1 if create is None else int(create(name.encode(), flags))
    if memory < 0:
        code = errno.ENOSYS if create is None else ctypes.get_errno()
        raise OSError(code, os.strerror(code))
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
