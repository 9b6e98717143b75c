// Judges a live source: one thread takes pictures, another judges them, and neither waits for the other.
//
//     judge_live BUNDLE WIDTH HEIGHT FRAMES_PER_SECOND < frames.rgb
//
// Standard input stands for the camera. Scores appear as soon as they are known (on standard error), and at the end
// what examples/judge.py prints for a video of the same frames.
#include "picture_queue.hpp"
#include "print_result.hpp"

#include <cstdlib>
#include <iostream>
#include <thread>

// Ends both threads: the camera may be waiting for a queue that nobody empties.
[[noreturn]] static void fail(const char *why) {
    std::cerr << "judge_live: " << why << '\n';
    std::_Exit(1);
}

int main(int argc, char **argv) {
    const int width = argc == 5 ? std::atoi(argv[2]) : 0, height = argc == 5 ? std::atoi(argv[3]) : 0;
    const double rate = argc == 5 ? std::atof(argv[4]) : 0;
    if (width < 1 || height < 1 || !(rate > 0)) {
        std::cerr << "usage: judge_live BUNDLE WIDTH HEIGHT FRAMES_PER_SECOND < frames.rgb\n";
        return 2;
    }
    Queue queue;
    std::thread camera; // outlives the block below: a thread that runs must not be destroyed
    try {
        flowtell::Stream stream(flowtell::Detector({argv[1]}));
        camera = std::thread([&] {
            try {
                Picture picture(size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height));
                while (std::fread(picture.data(), 1, picture.size(), stdin) == picture.size()) {
                    queue.put(picture);
                }
                queue.put({}); // the end
            } catch (const std::exception &) {
                fail("there is not enough memory for such frames");
            }
        });
        Picture picture;
        for (long frame = 0; !(picture = queue.take()).empty(); ++frame) {
            stream.push(flowtell::Image::rgb(picture.data(), width, height), double(frame) / rate);
            while (const auto clip = stream.next()) {
                std::fprintf(stderr, "face %d at %.2f s: %.3f\n", clip->track, clip->end_s, clip->fake_probability);
            }
        }
        camera.join();
        stream.finish();
        print_result(stream);
        return 0;
    } catch (const flowtell::Error &error) {
        fail(error.what());
    }
}
