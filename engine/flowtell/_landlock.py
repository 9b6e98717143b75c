"""Gives up, for the rest of a process's life, what the Linux kernel can take from it: to write, start, call.

Landlock (https://docs.kernel.org/userspace-api/landlock.html) needs no rights and no library. Each kernel
knows some of it; what it does not know stays allowed.
"""

from __future__ import annotations

import ctypes
import os
import struct

__all__ = ["TCP_SINCE", "give_up_rights"]

# the same numbers on every architecture: they are newer than the one table of system calls
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION_FLAG = 1
_PR_SET_NO_NEW_PRIVS = 38

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files a version of Landlock knows, by the version that brought them."""

TCP_SINCE = 4
_TCP = 0b11
_SCOPE_SINCE, _SCOPE = 6, 0b11


def give_up_rights() -> int:
    """Give up every right on files but reading, TCP, and signals to other processes.

    It holds for the calling thread and for those that it starts later.

    Returns:
        The version of Landlock that the kernel has; 0 where it has none, and nothing was given up.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG))
    if version < 1:
        return 0
    known = max(count for since, count in _FILE_RIGHTS.items() if since <= version)
    files = ((1 << known) - 1) & ~(_READ_FILE | _READ_DIR)
    attributes = [files]
    if version >= TCP_SINCE:
        attributes.append(_TCP)
    if version >= _SCOPE_SINCE:
        attributes.append(_SCOPE)
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    # no rule is added: what is handled and not allowed is denied everywhere
    rules = int(libc.syscall(_CREATE_RULESET, packed, ctypes.c_size_t(len(packed)), 0))
    if rules < 0:
        return 0
    failed = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_RESTRICT_SELF, rules, 0)
    os.close(rules)
    return 0 if failed else version
