// Cuts frames from standard input into clips as the library does inside and prints what its interface does not give
// out: of each clip the SHA-256 of its crops and of its flow.
//
//     trace_pixels BUNDLE < frames
#include "frame_stream.h"

#include "clips.h"
#include "detector.h"
#include "sha256.h"

#include <exception>
#include <iostream>

namespace {

void print_hashes(const flowtell_core::Detector &detector, const std::vector<flowtell_core::FaceClip> &clips) {
    for (const flowtell_core::FaceClip &clip : clips) {
        std::vector<float> flow(detector.flow_values(clip.pairs));
        detector.score(clip.frames.data(), clip.pairs, flow.data());
        const auto *flow_bytes = reinterpret_cast<const uint8_t *>(flow.data());
        std::cout << "pixels " << clip.track << ' ' << flowtell_core::sha256_hex(clip.frames.data(), clip.frames.size())
                  << ' ' << flowtell_core::sha256_hex(flow_bytes, flow.size() * sizeof(float)) << '\n';
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::cerr << "usage: trace_pixels BUNDLE < frames\n";
        return 2;
    }
    try {
        const flowtell_core::Detector detector(argv[1], "cpu", "fp32", "");
        flowtell_core::ClipMaker maker(detector.face_graphs());
        std::vector<uint8_t> rgb, previous;
        flowtell_core::RgbView before = {nullptr, 0, 0};
        uint8_t *pixels = nullptr;
        flowtell_image image;
        double time_s = 0.0;
        std::vector<flowtell_core::FaceClip> done;
        int got = 1;
        while ((got = read_frame(stdin, &pixels, &image, &time_s)) == 1) {
            rgb.resize(size_t{3} * static_cast<size_t>(image.width) * static_cast<size_t>(image.height));
            if (flowtell_to_rgb(&image, rgb.data(), rgb.size()) != FLOWTELL_OK) {
                throw std::runtime_error(flowtell_last_error());
            }
            const flowtell_core::RgbView frame = {rgb.data(), image.width, image.height};
            maker.push(frame, before, time_s, done);
            print_hashes(detector, done);
            done.clear();
            std::swap(rgb, previous);
            before = {previous.data(), image.width, image.height};
        }
        std::free(pixels);
        maker.finish(done);
        print_hashes(detector, done);
        return got == 0 ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << "trace_pixels: " << error.what() << '\n';
        return 1;
    }
}
