#!/bin/sh
# run.sh [SECONDS]: fuzz the bundle loader, then the streams' arguments, for SECONDS each (600).
# Needs clang with libFuzzer, `make test` once, and the header that `make cpp` fetches. A finding stays in build/fuzz.
set -eu
cd "$(dirname "$0")/../../.."
seconds=${1:-600}
python=.venv/bin/python
cmake --preset fuzz
cmake --build --preset fuzz --parallel 2
rm -rf build/fuzz/corpus
$python tests/cpp/fuzz/make_corpus.py build/fuzz/corpus
FLOWTELL_ONNXRUNTIME=$($python -c 'import glob, sysconfig
print(*glob.glob(sysconfig.get_path("purelib") + "/onnxruntime/capi/libonnxruntime.*.[0-9]*"))')
FLOWTELL_FUZZ_BUNDLE=$PWD/tests/bundles/tiny
export FLOWTELL_ONNXRUNTIME FLOWTELL_FUZZ_BUNDLE
# ONNX Runtime keeps memory for the life of the process on purpose
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
export ASAN_OPTIONS
cd build/fuzz
tests/cpp/fuzz/fuzz_bundle -max_total_time="$seconds" -max_len=32768 -timeout=30 -print_final_stats=1 corpus/bundle
tests/cpp/fuzz/fuzz_stream -max_total_time="$seconds" -max_len=4096 -timeout=60 -print_final_stats=1 corpus/stream
