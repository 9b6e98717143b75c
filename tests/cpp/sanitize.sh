#!/bin/sh
# sanitize.sh: the tests of the C library under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer and valgrind.
# Needs gcc, valgrind, what `make cpp` fetched, and an onnxruntime in .venv (make test). Stops at the first finding.
set -eu
cd "$(dirname "$0")/../.."
FLOWTELL_ONNXRUNTIME=$(.venv/bin/python -c 'import glob, sysconfig
print(*glob.glob(sysconfig.get_path("purelib") + "/onnxruntime/capi/libonnxruntime.*.[0-9]*"))')
export FLOWTELL_ONNXRUNTIME
# ONNX Runtime keeps memory for the life of the process: valgrind, which can tell whose it is, looks for leaks
ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1
UBSAN_OPTIONS=print_stacktrace=1
TSAN_OPTIONS=suppressions=$PWD/tests/cpp/tsan.supp:halt_on_error=1
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS

for preset in asan ubsan tsan debug; do
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset" --parallel 2 >/dev/null
done
for preset in asan ubsan tsan; do
    echo "== $preset"
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -R '^(interface|core|streams|threads)$'
done
tests=build/debug/tests/cpp
check() {
    echo "== valgrind $(basename "$1")"
    valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect \
        --errors-for-leak-kinds=definite,indirect --suppressions=tests/cpp/valgrind.supp "$@"
}
check $tests/test_flowtell
check $tests/test_core
check $tests/test_stream tests/bundles/tiny
check $tests/test_threads tests/bundles/tiny tests/conformance/portrait.npy
echo "all clean"
