#include "tracks.h"

#include <algorithm>
#include <cstdlib>
#include <set>

namespace {

using flowtell_core::Box;

// The reasons stand in engine/flowtell/_tracks.py and _cuts.py.
constexpr double min_iou = 0.2;
constexpr double max_ahead = 16.0;
constexpr int32_t sure_levels = 60;
struct Sudden {
    int32_t levels, ratio;
};
constexpr Sudden sudden_cuts[] = {{24, 3}, {16, 6}};
constexpr size_t recent_differences = 8, enough_differences = 4;

using Pairs = std::map<size_t, size_t>;

struct Overlap {
    double iou;
    size_t sought, found;
};

// Adds the pairs of boxes, both still free, that overlap enough; of equal overlaps the first.
void pair_by_overlap(const std::vector<Box> &sought, const std::vector<Box> &found, Pairs &pairs,
                     std::set<size_t> &taken) {
    std::vector<Overlap> overlaps;
    for (size_t s = 0; s < sought.size(); ++s) {
        for (size_t f = 0; f < found.size(); ++f) {
            if (pairs.count(s) == 0 && taken.count(f) == 0) {
                overlaps.push_back({flowtell_core::intersection_over_union(sought[s], found[f]), s, f});
            }
        }
    }
    std::stable_sort(overlaps.begin(), overlaps.end(),
                     [](const Overlap &a, const Overlap &b) { return a.iou > b.iou; });
    for (const Overlap &overlap : overlaps) {
        if (overlap.iou >= min_iou && pairs.count(overlap.sought) == 0 && taken.count(overlap.found) == 0) {
            pairs[overlap.sought] = overlap.found;
            taken.insert(overlap.found);
        }
    }
}

} // namespace

namespace flowtell_core {

bool CutFinder::is_cut(const CropSignature &before, const CropSignature &after) {
    constexpr auto values = static_cast<int32_t>(std::tuple_size<CropSignature>::value);
    int32_t difference = 0;
    for (size_t i = 0; i < before.size(); ++i) {
        difference += std::abs(before[i] - after[i]);
    }
    bool sudden = false;
    if (recent_.size() >= enough_differences) {
        const int32_t largest = *std::max_element(recent_.begin(), recent_.end());
        for (const Sudden &least : sudden_cuts) {
            sudden |= difference >= std::max(least.levels * values, least.ratio * largest);
        }
    }
    recent_.push_back(difference);
    if (recent_.size() > recent_differences) {
        recent_.pop_front();
    }
    return sudden || difference >= sure_levels * values;
}

void OpenClip::keep(size_t count, size_t frame_bytes) {
    if (count < times_s.size()) {
        times_s.resize(count);
        frames.resize(count * frame_bytes);
    }
}

void Track::see(const Face &now, double time_s) {
    before = face;
    before_s = seen_s;
    face = now;
    seen_s = time_s;
}

Face Track::expected_face(double time_s) const {
    if (!before || seen_s <= before_s) {
        return face;
    }
    const double ahead = std::min((time_s - seen_s) / (seen_s - before_s), max_ahead);
    const double moved_x = (face.x + face.w / 2) - (before->x + before->w / 2);
    const double moved_y = (face.y + face.h / 2) - (before->y + before->h / 2);
    return {face.x + ahead * moved_x, face.y + ahead * moved_y, face.w, face.h, face.score};
}

Pairs match_faces(const std::vector<Track> &tracks, const std::vector<Face> &faces, double time_s, double margin) {
    std::vector<Box> found, expected, last_seen;
    for (const Face &face : faces) {
        found.push_back(square_box(face, margin));
    }
    for (const Track &track : tracks) {
        expected.push_back(square_box(track.expected_face(time_s), margin));
        last_seen.push_back(square_box(track.face, margin));
    }
    Pairs pairs;
    std::set<size_t> taken;
    for (const std::vector<Box> *sought : {&expected, &last_seen}) {
        pair_by_overlap(*sought, found, pairs, taken);
    }
    return pairs;
}

bool is_same_face(const Face &first, const Face &second, double margin) {
    return intersection_over_union(square_box(first, margin), square_box(second, margin)) >= min_iou;
}

} // namespace flowtell_core
