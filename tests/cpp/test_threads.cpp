// Streams in several threads, and clips of the host's own, share one detector, and each says what it would say alone.
//
//     test_threads BUNDLE PORTRAIT        exit code 77: there is no ONNX Runtime here
//
// PORTRAIT is tests/conformance/portrait.npy, whose last 160 * 160 * 3 bytes are a face.
#include <flowtell/flowtell.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace {

constexpr int side = 160, width = 320, height = 240, frames = 22, threads = 3;

using Pixels = std::vector<uint8_t>;

Pixels portrait_from(const char *path) {
    std::ifstream file(path, std::ios::binary);
    const Pixels bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return {bytes.end() - side * side * 3, bytes.end()};
}

// Nods, so that no two frames are alike.
Pixels frame_of(const Pixels &portrait, int n) {
    Pixels frame(static_cast<size_t>(width) * height * 3, 100);
    for (int y = 0; y < side; ++y) {
        const auto row = portrait.begin() + y * side * 3;
        std::copy(row, row + side * 3, frame.begin() + ((40 + n % 4 + y) * width + 80) * 3);
    }
    return frame;
}

// The result without its timings.
std::string judged(const flowtell::Detector &detector, const Pixels &portrait) {
    flowtell::Stream stream(detector);
    for (int n = 0; n < frames; ++n) {
        const Pixels frame = frame_of(portrait, n);
        stream.push(flowtell::Image::rgb(frame.data(), width, height), n / 25.0);
        while (stream.next()) {
        }
    }
    stream.finish();
    const std::string json = stream.json("threads");
    return json.substr(0, json.find("\"timing_ms\""));
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    try {
        const flowtell::Detector detector({argv[1], "cpu"});
        const Pixels portrait = portrait_from(argv[2]);
        const std::string alone = judged(detector, portrait);
        std::vector<std::string> found(threads);
        std::vector<std::thread> pool;
        for (std::string &result : found) {
            pool.emplace_back([&detector, &portrait, &result] { result = judged(detector, portrait); });
        }
        const Pixels clips(2 * 5 * 64 * 64 * 3, 7);
        const flowtell::Scores scores = detector.score_clips(flowtell::View<const uint8_t>(clips), 2, 5, true);
        for (std::thread &thread : pool) {
            thread.join();
        }
        const bool is_judged = alone.find("\"pair_logits\"") != std::string::npos;
        const bool all_alike = std::all_of(found.begin(), found.end(), [&](const auto &one) { return one == alone; });
        if (!is_judged || !all_alike || scores.clip_logits[0] != scores.clip_logits[1]) {
            std::fprintf(stderr, "%s\nthe threads disagree\n", alone.c_str());
            return 1;
        }
        return 0;
    } catch (const flowtell::Error &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return std::strstr(error.what(), "no ONNX Runtime was found") != nullptr ? 77 : 1;
    }
}
