"""A program that embeds Python, compiled and run: it decodes with the Python that belongs to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import flowtell
from flowtell import samples

HOST = r"""
#include <Python.h>
#include <stdio.h>

int main(int argc, char **argv) {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    PyConfig_SetBytesString(&config, &config.program_name, argv[0]);
    PyConfig_SetBytesString(&config, &config.executable, argv[1]);
    if (PyStatus_Exception(Py_InitializeFromConfig(&config))) return 3;
    PyConfig_Clear(&config);
    fputs("host\n", stderr);
    const int failed = PyRun_SimpleString(argv[2]);
    return Py_FinalizeEx() || failed;
}
"""

CODE = """
import os
from flowtell import IsolationError
from flowtell._frames import IsolatedReader, open_frames
try:
    with open_frames(os.environ["SAMPLE"]) as source:
        assert isinstance(source, IsolatedReader)
        print(len(list(source)), source._decoder.interpreter)
except IsolationError as error:
    print(error)
"""


def test_what_is_not_posix_imports_it_all_the_same():
    without = "sys.modules['fcntl'] = sys.modules['resource'] = None\ndel os.fork, os.register_at_fork"
    code = f"import os, sys\n{without}\nimport flowtell, flowtell.__main__"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The program, compiled; skips where the parts for it are not there."""
    include = Path(sysconfig.get_path("include"))
    library = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDLIBRARY"))
    compiler = shutil.which("cc")
    if not (compiler and (include / "Python.h").is_file() and library.is_file()):
        pytest.skip(f"embedding needs cc, {include / 'Python.h'} and {library}")
    folder = tmp_path_factory.mktemp("host")
    (folder / "host.c").write_text(HOST)
    program = folder / "host"
    flags = [f"-I{include}", str(library), f"-Wl,-rpath,{library.parent}", "-lm", "-ldl", "-lpthread"]
    subprocess.run([compiler, "host.c", "-o", program, *flags], cwd=folder, check=True)
    return program


def run_host(host, executable, **variables):
    """Run the host, which believes `executable` to be its own; return what it printed and the starts."""
    paths = [str(Path(flowtell.__file__).parents[1]), *sys.path]
    environment = {
        **os.environ,
        "SAMPLE": str(samples.natural_path()),
        "PYTHONHOME": sys.base_prefix,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        **variables,
    }
    done = subprocess.run(
        [host, executable, CODE], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.strip(), done.stderr.split().count("host")


@pytest.mark.parametrize("executable", ["", "{host}", "/bin/false", "/usr/games/blender"])
def test_a_host_that_is_no_python_finds_the_one_that_belongs_to_it(host, executable):
    said, starts = run_host(host, executable.format(host=host))
    count, interpreter = said.split(" ", 1)
    assert count == "97"
    assert Path(interpreter).parent == Path(sys.base_prefix, "bin")
    assert starts == 1


def test_a_host_may_name_the_python(host):
    said, _ = run_host(host, str(host), FLOWTELL_DECODER=sys.executable)
    assert said == f"97 {sys.executable}"


def test_a_host_without_a_python_is_told_what_to_set(host, tmp_path):
    said, starts = run_host(host, str(host), FLOWTELL_DECODER=str(tmp_path / "python3"))
    assert "set FLOWTELL_DECODER to a Python" in said
    assert starts == 1
