// Keeps N of a stream of unknown length, evenly spread, without looking ahead.
#pragma once

#include "clips.h"

#include <vector>

namespace flowtell_core {

constexpr int32_t max_clips_limit = 256;

// Clip i of its kind (face in the foreground, or in the background) has the rank i * golden mod 2**32, and the lowest
// ranks stay; clips of the background only where there are too few of the others. The reasons stand in
// engine/flowtell/_budget.py and docs/decisions/0007-golden-ratio-sample.md.
class EvenSample {
  public:
    explicit EvenSample(size_t size) : size_(size) {}

    void offer(FaceClip clip);

    // How many were offered so far.
    size_t offered() const noexcept { return offered_; }

    // Takes out what was kept, in the order it was offered.
    std::vector<FaceClip> take();

  private:
    struct Entry {
        bool is_preferred;
        uint32_t rank;
        size_t place;
        FaceClip clip;
    };

    static bool is_better(const Entry &a, const Entry &b) noexcept;

    size_t size_;
    size_t offered_ = 0;
    uint32_t counts_[2] = {0, 0};
    std::vector<Entry> kept_;
};

} // namespace flowtell_core
