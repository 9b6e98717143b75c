"""The cache of TensorRT plans: what was built here for exactly what is wanted, and nothing else.

A plan can carry code, so one is opened only if this user's flowtell wrote it on this system. Each lies in a
file of its own, `plans/NAME.plan` in the user's cache folder:

    flowtell plan 1                  the format
    64 hexadecimal digits            HMAC-SHA256, under the secret, of everything after this line
    {"backend":...}                  the key in its canonical form, one line
    the plan, to the end of the file

The secret is 32 random bytes in the user's *state* folder, apart from the cache: a plan that came with a copy
of somebody's cache (an archive, a container's layer, a build server's cache) lacks the right code.
`docs/decisions/0021-what-shows-that-a-plan-was-made-here.md` says why; `engine/cpp/src/plan_cache.cpp` reads
the same files.
"""

from __future__ import annotations

import errno
import hmac
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ._cache import is_private, private_cache_folder, private_state_folder, private_subfolder
from ._errors import ProviderError
from ._plan_key import PlanKey

__all__ = ["MAX_PLAN_BYTES", "NoPlanError", "PlanCache", "RefusedPlanError"]

FORMAT = b"flowtell plan 1\n"
MAX_PLAN_BYTES = 1 << 32
SECRET_NAME = "plan-secret"
SECRET_BYTES = 32
_CODE_DIGITS = 64
_PARTIAL = ".partial"


class NoPlanError(ProviderError):
    """No plan for this key is in the cache."""


class RefusedPlanError(ProviderError):
    """A file in the cache has the name of a plan, and is not opened; the message says why."""


class PlanCache:
    """The plans of this user, in a folder that nobody else may write to."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self._state = state

    @classmethod
    def open(cls) -> PlanCache:
        """Return the user's cache; folders that are missing are made.

        Raises:
            ProviderError: where they cannot be made or others can write to them, and on Windows.
        """
        if sys.platform == "win32":
            raise ProviderError("plans are kept on systems with POSIX's permissions only, not on Windows")
        return cls(private_subfolder(private_cache_folder(), "plans"), private_state_folder())

    def path(self, key: PlanKey) -> Path:
        """Return where the plan of a key lies, if it is there."""
        return self.folder / f"{key.name}.plan"

    def read(self, key: PlanKey) -> bytes:
        """Return the plan: the very bytes that were found to be made here, for this key.

        Raises:
            NoPlanError: where there is none.
            RefusedPlanError: where there is a file that is not what it should be.
        """
        path = self.path(key)
        data = _read_private_file(path, MAX_PLAN_BYTES)
        if not data.startswith(FORMAT):
            raise RefusedPlanError(f"'{path}' is no plan that this flowtell reads")
        end = len(FORMAT) + _CODE_DIGITS
        body = memoryview(data)[end + 1 :]
        if not hmac.compare_digest(data[len(FORMAT) : end + 1], _code_of(self._secret(), body) + b"\n"):
            raise RefusedPlanError(f"'{path}' was not made here, or was changed since: it is not opened")
        wanted = key.canonical() + b"\n"
        if bytes(body[: len(wanted)]) != wanted:
            raise RefusedPlanError(f"'{path}' is a plan for something else")
        return bytes(body[len(wanted) :])

    @contextmanager
    def locked(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the cache's lock, which a builder needs to write: one builds at a time.

        Args:
            waiting: called where another process holds the lock, before it is waited for.

        Raises:
            ProviderError: where the lock cannot be had at all.
        """
        import fcntl  # POSIX alone has it, and `open` has refused the rest

        path = self.folder / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ProviderError(f"the lock '{path}' cannot be opened: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            for left in self.folder.glob(f"*{_PARTIAL}"):
                left.unlink()  # of a process that was killed: whoever writes holds the lock
            yield
        finally:
            os.close(descriptor)

    def write(self, key: PlanKey, plan: bytes | memoryview) -> Path:
        """Put a plan into the cache, whole or not at all; the caller holds the lock. Returns its path.

        Raises:
            ProviderError: where it cannot be written.
        """
        path = self.path(key)
        head = key.canonical() + b"\n"
        try:
            secret = self._made_secret()
            _write_whole(path, (FORMAT, _code_of(secret, head, plan), b"\n", head, plan))
        except OSError as error:
            raise ProviderError(f"the plan '{path}' cannot be written: {error.strerror}") from error
        return path

    def _secret(self) -> bytes:
        path = self._state / SECRET_NAME
        try:
            secret = _read_private_file(path, SECRET_BYTES)
        except NoPlanError:
            raise RefusedPlanError(
                f"no plan was made here before: '{path}' is missing, and plans in the cache are not opened"
            ) from None
        if len(secret) != SECRET_BYTES or path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise RefusedPlanError(f"'{path}' is no secret of {SECRET_BYTES} bytes that only you can read")
        return secret

    def _made_secret(self) -> bytes:
        """Return the secret, a new one where there is none that can be used: older plans are then refused."""
        with suppress(RefusedPlanError):
            return self._secret()
        secret = secrets.token_bytes(SECRET_BYTES)
        _write_whole(self._state / SECRET_NAME, (secret,))
        return secret


def _code_of(secret: bytes, *parts: bytes | memoryview) -> bytes:
    code = hmac.new(secret, digestmod="sha256")
    for part in parts:
        code.update(part)
    return code.hexdigest().encode("ascii")


def _read_private_file(path: Path, limit_bytes: int) -> bytes:
    """Read a file that is a file itself, this user's alone, under one name, of at most so many bytes.

    Raises:
        NoPlanError: where there is none.
        RefusedPlanError: where there is something else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NoPlanError(f"there is no '{path}'") from error
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        reason = "is a link" if is_link else f"cannot be opened: {error.strerror}"
        raise RefusedPlanError(f"'{path}' {reason}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise RefusedPlanError(f"'{path}' is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if not is_private(status):
            raise RefusedPlanError(f"'{path}' is another user's, or others can write to it")
        if status.st_nlink != 1:
            raise RefusedPlanError(f"'{path}' has another name elsewhere")
        if status.st_size > limit_bytes:
            raise RefusedPlanError(f"'{path}' has more than {limit_bytes} bytes")
        return file.read(limit_bytes)


def _write_whole(path: Path, parts: tuple[bytes | memoryview, ...]) -> None:
    """Write a file for this user alone, which appears whole or not at all."""
    partial = path.with_name(path.name + _PARTIAL)
    partial.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
