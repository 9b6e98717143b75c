// The queue between the thread that takes pictures and the one that judges them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

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
