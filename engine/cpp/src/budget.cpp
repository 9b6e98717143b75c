#include "budget.h"

#include <algorithm>

namespace {

constexpr uint32_t golden = 2654435769U; // 2**32 over the golden ratio, rounded to odd

} // namespace

namespace flowtell_core {

bool EvenSample::is_better(const Entry &a, const Entry &b) noexcept {
    if (a.is_preferred != b.is_preferred) {
        return a.is_preferred;
    }
    return a.rank != b.rank ? a.rank < b.rank : a.place > b.place;
}

void EvenSample::offer(FaceClip clip) {
    const bool is_preferred = !clip.is_background;
    const uint32_t rank = counts_[is_preferred]++ * golden; // modulo 2**32
    kept_.push_back({is_preferred, rank, offered_++, std::move(clip)});
    if (kept_.size() > size_) {
        // the worst is the one that every other is better than
        const auto worst = std::max_element(kept_.begin(), kept_.end(), is_better);
        *worst = std::move(kept_.back());
        kept_.pop_back();
    }
}

std::vector<FaceClip> EvenSample::take() {
    std::sort(kept_.begin(), kept_.end(), [](const Entry &a, const Entry &b) { return a.place < b.place; });
    std::vector<FaceClip> clips;
    for (Entry &entry : kept_) {
        clips.push_back(std::move(entry.clip));
    }
    kept_.clear();
    return clips;
}

} // namespace flowtell_core
