// What the C++ examples print at the end, as examples/judge.py does.
#pragma once

#include <flowtell/flowtell.hpp>

#include <cstdio>

inline void print_result(flowtell::Stream &stream) {
    const flowtell_result result = stream.result();
    if (result.verdict == FLOWTELL_UNDECIDED) {
        std::printf("undecided: %s\n", result.reason);
    } else {
        std::printf("%s %.6f\n", result.verdict == FLOWTELL_FAKE ? "fake" : "original", result.fake_probability);
    }
    for (const flowtell_face &face : stream.faces()) {
        std::printf("face %d: %.6f from %d clips\n", face.track, face.fake_probability, face.clip_count);
    }
}
