"""Starts the processes that decode videos, and keeps those that are idle for the next file."""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._decoder_protocol import (
    MAX_PAYLOAD_BYTES,
    READY_WORDS,
    RING_BYTES,
    SLOT_BYTES,
    FrameNotice,
    Kind,
    MessageBuffer,
    ProtocolError,
    pack,
)
from ._descriptors import connected_sockets, sealed_memory
from ._errors import IsolationError
from ._interpreters import DECODER_VARIABLE, IN_PROCESS, candidates

__all__ = ["DecoderGoneError", "DecoderPool", "DecoderProcess", "DecoderTimeoutError"]

_START_S = 60.0
"""A start takes a third of a second; a machine that is short of everything gets this long."""

_STARTS = 3
"""Times that a start is tried which fails as it may where the machine is short of something."""

_CLOSE_S = 2.0
"""A decoder that does not leave its file within this time is replaced: a start costs less than waiting."""

_MAX_IDLE = 4
"""Idle decoders that are kept: 50 MB each."""

_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}

_SHORT = {errno.EAGAIN, errno.ENOMEM}
"""What starting a process fails with for want of memory, or of further processes."""

_BOOT = """
import json, sys, types
settings = json.loads(sys.argv[1])
sys.path[:] = settings["path"]
# only the modules that decode: the package's own __init__ would load the rest of it
package = sys.modules["flowtell"] = types.ModuleType("flowtell")
package.__path__ = [settings["package"]]
from flowtell._decoder_child import main
main(settings["fds"])
"""

_KEPT_VARIABLES = re.compile(r"PATH|LANG|LC_\w+|LD_\w+|TZ|ASAN_OPTIONS")
"""Of the environment, which may hold secrets, the decoder gets what its libraries need to load."""


class DecoderGoneError(Exception):
    """The decoder ended, or said what cannot be right.

    Attributes:
        signal_number: what ended it, if that is known.
        exit_code: what it ended with by itself, if it did.
    """

    def __init__(self, reason: str, signal_number: int | None = None, exit_code: int | None = None) -> None:
        super().__init__(reason)
        self.signal_number = signal_number
        self.exit_code = exit_code


class DecoderTimeoutError(Exception):
    """The decoder said nothing in time."""


class DecoderProcess:
    """One decoder and the ring of frames that is shared with it. For one thread at a time.

    Attributes:
        interpreter: the Python that runs it.
        landlock: the version of Landlock that the kernel holds it to; 0 for none.
    """

    def __init__(self, interpreter: str) -> None:
        """Start a decoder.

        Raises:
            DecoderGoneError, DecoderTimeoutError, OSError: where it does not start.
        """
        self._owner = os.getpid()
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as handed_over:
            ring = sealed_memory(RING_BYTES)
            handed_over.callback(os.close, ring)
            here, there = connected_sockets()
            kept.enter_context(here)
            handed_over.enter_context(there)
            self._ring = kept.enter_context(mmap.mmap(ring, RING_BYTES, prot=mmap.PROT_READ))
            settings = {
                "path": [str(Path(entry).absolute()) for entry in sys.path],
                "package": str(Path(__file__).parent),
                "fds": [there.fileno(), ring],
            }
            self._process = subprocess.Popen(
                [interpreter, "-I", "-c", _BOOT, json.dumps(settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(there.fileno(), ring),
                env={key: value for key, value in os.environ.items() if _KEPT_VARIABLES.fullmatch(key)}
                | {"OPENBLAS_NUM_THREADS": "1"},
                process_group=0,
            )
            kept.pop_all()
        self._connection = here
        self._buffer = MessageBuffer()
        try:
            kind, words = self.receive(_START_S)
            if kind is not Kind.READY or words[:-1] != READY_WORDS:
                raise DecoderGoneError("it is a decoder of another version")
            self.interpreter = interpreter
            self.landlock = words[-1]
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """Say something.

        Raises:
            DecoderGoneError: where nobody listens.
        """
        self._require_own()
        try:
            # one that does not listen must not hold its caller up
            self._connection.settimeout(_CLOSE_S)
            self._connection.sendall(pack(kind, payload))
        except OSError:
            raise self._gone() from None

    def receive(self, timeout_s: float) -> tuple[Kind, bytes]:
        """Return the next message.

        Raises:
            DecoderTimeoutError: where none comes in time.
            DecoderGoneError: where none can come any more, or what comes is no message.
        """
        self._require_own()
        until_s = time.monotonic() + timeout_s
        try:
            while (message := self._buffer.next()) is None:
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    raise DecoderTimeoutError
                self._connection.settimeout(left_s)
                data = self._connection.recv(MAX_PAYLOAD_BYTES)
                if not data:
                    raise self._gone()
                self._buffer.feed(data)
        except TimeoutError:
            raise DecoderTimeoutError from None
        except OSError:
            raise self._gone() from None
        except ProtocolError as error:
            raise DecoderGoneError(f"it said what cannot be right ({error})") from None
        return message

    def copy_bytes(self, notice: FrameNotice) -> NDArray[np.uint8]:
        """Return a copy of the bytes of a frame in the ring."""
        return np.frombuffer(self._ring, np.uint8, notice.nbytes, notice.slot * SLOT_BYTES).copy()

    def interrupt(self) -> None:
        """End what another thread waits for from the process: it finds that nothing more can come."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def leave_file(self) -> bool:
        """Close the decoder's file; return whether it is fit for another."""
        try:
            self.send(Kind.CLOSE)
            until_s = time.monotonic() + _CLOSE_S
            while True:
                kind, _ = self.receive(until_s - time.monotonic())
                if kind is Kind.CLOSED:
                    return True
        except (DecoderGoneError, DecoderTimeoutError):
            return False

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process, whatever it does, and leave nothing of it behind; of another's, let go."""
        if not self._is_own():
            self.forget()
            return
        self._connection.close()
        self._process.kill()
        # one that sleeps in the kernel, as on a network disk that is gone, ends when it wakes
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_S)
        self._ring.close()

    def forget(self) -> None:
        """Let go of the process without ending it: it is another process's child."""
        self._connection.close()

    def _is_own(self) -> bool:
        """Return whether it is this process's child, not that of one which this is a fork of."""
        return os.getpid() == self._owner

    def _require_own(self) -> None:
        # both ends would take each other's messages
        if not self._is_own():
            raise DecoderGoneError("it belongs to the process that this one was forked from")

    def _gone(self) -> DecoderGoneError:
        """Return how the process ended; one that closed its connection and lives on is ended."""
        try:
            code = self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            return DecoderGoneError("it closed its connection")
        if code >= 0:
            return DecoderGoneError(f"it ended with code {code}", exit_code=code)
        with contextlib.suppress(ValueError):
            return DecoderGoneError(f"it was ended by {signal.Signals(-code).name}", -code)
        return DecoderGoneError(f"it was ended by signal {-code}", -code)


class DecoderPool:
    """The decoders of this process. Every method may be called from many threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[DecoderProcess] = []
        self._all: weakref.WeakSet[DecoderProcess] = weakref.WeakSet()
        self._interpreter: str | None = None
        self._closed = False

    def take(self) -> DecoderProcess:
        """Return a decoder that nobody else uses, an idle one or a new one.

        Raises:
            IsolationError: where none can be started.
            DecoderGoneError: where the interpreter that has started others started none this time: the
                machine is short of memory, perhaps, and a later start may succeed.
        """
        while True:
            with self._lock:
                decoder = self._idle.pop() if self._idle else None
            if decoder is None:
                return self._start()
            if decoder.is_alive():
                return decoder
            decoder.kill()

    def give_back(self, decoder: DecoderProcess) -> None:
        """Take back a decoder once its file is done with."""
        if decoder.leave_file():
            with self._lock:
                if len(self._idle) < _MAX_IDLE and not self._closed:
                    self._idle.append(decoder)
                    return
        decoder.kill()

    def close(self) -> None:
        """End all idle decoders; those in use end when they are given back."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for decoder in idle:
            decoder.kill()

    def forget(self) -> None:
        """Let go of every decoder: this process is a fork of the one that they belong to.

        Those in use, too: one whose connection stays open here would wait for a caller that has ended.
        """
        for decoder in list(self._all):
            decoder.forget()
        self.__init__()  # type: ignore[misc]

    def _start(self) -> DecoderProcess:
        with self._lock:
            known = self._interpreter
        refused = []
        for interpreter in [known] if known else candidates():
            for left in reversed(range(_STARTS)):
                try:
                    decoder = DecoderProcess(interpreter)
                except (DecoderGoneError, DecoderTimeoutError, OSError) as error:
                    if _may_pass(error, known is not None):
                        if left:
                            continue
                        if known:
                            raise DecoderGoneError(str(error)) from None
                    if isinstance(error, OSError) and error.errno in _TOO_MANY_FILES:
                        raise _too_many_files(error) from None
                    refused.append(f"{interpreter} ({str(error) or 'no answer'})")
                    break
                with self._lock:
                    self._interpreter = interpreter
                    self._all.add(decoder)
                return decoder
        tried = ", ".join(refused) or "there is none to try"
        raise IsolationError(
            f"no process that decodes videos can be started ({tried}): set {DECODER_VARIABLE} to a Python "
            f"{sys.version_info.major}.{sys.version_info.minor} that has NumPy and PyAV, or to "
            f"'{IN_PROCESS}' where no file comes from strangers"
        )


def _may_pass(error: Exception, has_started_others: bool) -> bool:
    """Return whether a start that failed may succeed another time, by what it failed with."""
    if isinstance(error, OSError):
        return error.errno in _SHORT
    if not isinstance(error, DecoderGoneError):
        return False
    # Python without memory ends with a code, as it does where a module is missing
    return error.signal_number is not None or (has_started_others and error.exit_code is not None)


def _too_many_files(error: OSError) -> IsolationError:
    return IsolationError(
        f"no process that decodes videos can be started, as it needs a few more open files "
        f"({error.strerror}): close some, or raise the limit on them (ulimit -n)"
    )
