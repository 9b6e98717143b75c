// Judges a live source: one thread takes pictures, another judges them, and neither waits for the other.
//
//     judge_live BUNDLE WIDTH HEIGHT FRAMES_PER_SECOND < frames.rgb
//
// Standard input stands for the camera. Scores appear as soon as they are known (on standard error), and at the end
// what examples/judge.py prints for a video of the same frames.
#include "print_result.hpp"

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <mutex>
#include <thread>

using Picture = std::vector<uint8_t>;

// A real camera would drop the oldest picture where too many wait. A file can wait, and then all its frames are judged.
class Queue {
  public:
    void put(Picture picture) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return waiting_.size() < most; });
        waiting_.push_back(std::move(picture));
        changed_.notify_all();
    }

    Picture take() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !waiting_.empty(); });
        Picture picture = std::move(waiting_.front());
        waiting_.pop_front();
        changed_.notify_all();
        return picture;
    }

  private:
    static constexpr size_t most = 32; // two clips of T = 16: judging one does not stop the source
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Picture> waiting_;
};

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
            Picture picture(size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height));
            while (std::fread(picture.data(), 1, picture.size(), stdin) == picture.size()) {
                queue.put(picture);
            }
            queue.put({}); // the end
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
        std::cerr << "judge_live: " << error.what() << '\n';
        std::_Exit(1); // the camera may be waiting for a queue that nobody empties
    }
}
