"""The command `flowtell`: finds the subcommand that was asked for and runs it.

Each subcommand is a module with `main(argv) -> exit code`, `argv[0]` being the subcommand's name. It is
imported only when asked for, so that judging a video never loads what exporting a model needs.
"""

from __future__ import annotations

import errno
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ._cli_text import drop_output, printable
from ._errors import FlowtellError
from ._version import __version__

__all__ = ["main"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What writing to a disk that is full or broken ends with."""

_NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}
"""What looking at, or writing to, a place of somebody else's ends with."""

EXIT_JUDGED, EXIT_NOT_JUDGED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class Command:
    """A subcommand: its name, one line of help, the module that runs it, and the extra that it needs."""

    name: str
    summary: str
    module: str
    extra: str


COMMANDS = (
    Command("detect", "judge video files", "flowtell._cli_detect", "cpu"),
    Command("info", "show what a bundle is and what it was trained on", "flowtell._cli_info", "cpu"),
    Command("doctor", "show what is usable on this machine, and why not", "flowtell._cli_doctor", "cpu"),
    Command("prepare", "cut the face clips of labelled videos", "flowtell.training._cli", "train"),
    Command("train", "train a flow network or a detector", "flowtell.training._cli", "train"),
    Command("evaluate", "measure how good a detector is", "flowtell.training._cli", "train"),
    Command("export", "turn a Keras model into a bundle", "flowtell.export._cli", "export"),
    Command("check", "compare a bundle with its Keras model", "flowtell.export._cli", "export"),
    Command("plan", "build TensorRT plans of a bundle's graphs", "flowtell.export._cli", "tensorrt"),
    Command(
        "bench", "measure speed under a load, outputs compared first", "flowtell.benchmarks._cli", "bench"
    ),
)


def main(argv: list[str] | None = None) -> int:
    """Run `flowtell` with `argv` (the process's own by default); return its exit code.

    0: every file was judged. 1: some file could not be. 2: wrong usage, or nothing here can do what was
    asked. 130: interrupted.
    """
    if sys.stderr is None:
        # print() would take standard output instead
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # file names are bytes: one that the terminal cannot show must not end the run
            stream.reconfigure(errors="backslashreplace")
    try:
        return _written(sys.argv[1:] if argv is None else argv)
    except FlowtellError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("flowtell: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # whoever read the output has had enough
        drop_output(sys.stdout)
        return EXIT_NOT_JUDGED
    except OSError as error:
        if error.filename is not None and error.errno in _NO_RIGHT:
            return _fail(
                f"'{error.filename}' may not be read, or written: {error.strerror}; ask for the right, or "
                "name another place"
            )
        if error.filename is not None or error.errno not in _NO_ROOM:
            raise
        drop_output(sys.stdout)
        return _fail(f"the output cannot be written: {error.strerror or error}")


def _written(arguments: list[str]) -> int:
    """Run what `arguments` ask for; what cannot be written is known here, not as the interpreter ends."""
    try:
        code = _run(arguments)
    except SystemExit:
        # help and wrong usage end so
        _flush()
        raise
    _flush()
    return code


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help(), file=sys.stdout if arguments else sys.stderr)
        return EXIT_JUDGED if arguments else EXIT_USAGE
    if arguments[0] == "--version":
        print(f"flowtell {__version__}")
        return EXIT_JUDGED
    if arguments[0] == "--cmake-dir":
        return _print_cmake_folder()
    command = next((command for command in COMMANDS if command.name == arguments[0]), None)
    if command is None:
        names = ", ".join(command.name for command in COMMANDS)
        return _fail(f"there is no command '{arguments[0]}': choose one of {names}")
    try:
        main_of_command: Callable[[list[str]], int] = importlib.import_module(command.module).main
        return main_of_command(arguments)
    except ModuleNotFoundError as error:
        return _fail(
            f"'flowtell {command.name}' needs the module '{error.name}': "
            f"install it with: pip install 'flowtell[{_extras(command)}]'"
        )


def _extras(command: Command) -> str:
    """Return what to install for a command, without an ONNX Runtime over one that is there."""
    lacks_runtime = importlib.util.find_spec("onnxruntime") is None
    return f"cpu,{command.extra}" if lacks_runtime and command.extra != "cpu" else command.extra


def _help() -> str:
    lines = [f"  {command.name:8}  {command.summary}" for command in COMMANDS]
    return "\n".join(
        [
            "usage: flowtell COMMAND ...",
            "",
            *lines,
            "",
            "flowtell COMMAND --help says more; --version the version;",
            "--cmake-dir where CMake finds the C library.",
        ]
    )


def _print_cmake_folder() -> int:
    folder = Path(__file__).parent / "native" / "lib" / "cmake" / "flowtell"
    if not folder.is_dir():
        return _fail(
            "this flowtell was installed without its C library: install it with "
            "FLOWTELL_NATIVE=1 pip install ., which needs cmake, a C++ compiler and ONNX Runtime's header"
        )
    print(folder)
    return EXIT_JUDGED


def _fail(message: str) -> int:
    print(f"flowtell: {printable(message)}", file=sys.stderr)
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
