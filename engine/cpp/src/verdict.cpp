#include "verdict.h"

#include "exact_sum.h"
#include "flowtell/flowtell.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace flowtell_core {

double sigmoid(double logit) noexcept {
    if (logit >= 0) {
        return 1.0 / (1.0 + std::exp(-logit));
    }
    const double growth = std::exp(logit);
    return growth / (1.0 + growth);
}

// A face decides only if at least half of its clips are in the foreground and it was judged on one full clip's worth of
// pairs; where no face has both, being in the foreground is enough; where none has that, all decide.
std::vector<FaceVerdict> faces_from_clips(const std::vector<JudgedClip> &judged, int32_t pairs_per_clip) {
    struct Evidence {
        std::vector<size_t> clips;
        std::vector<double> probabilities;
        size_t background = 0, pairs = 0;

        bool is_foreground() const { return 2 * background <= clips.size(); }
    };
    std::map<int32_t, Evidence> tracks;
    for (size_t i = 0; i < judged.size(); ++i) {
        Evidence &evidence = tracks[judged[i].track];
        evidence.clips.push_back(i);
        evidence.probabilities.push_back(sigmoid(judged[i].logit));
        evidence.background += judged[i].is_background;
        evidence.pairs += judged[i].pair_logits.size();
    }
    const auto is_solid = [&](const Evidence &evidence) {
        return evidence.is_foreground() && evidence.pairs >= static_cast<size_t>(pairs_per_clip);
    };
    bool any_foreground = false, any_solid = false;
    for (const auto &[track, evidence] : tracks) {
        any_foreground = any_foreground || evidence.is_foreground();
        any_solid = any_solid || is_solid(evidence);
    }
    std::vector<FaceVerdict> faces;
    for (auto &[track, evidence] : tracks) {
        const bool decides = any_solid ? is_solid(evidence) : !any_foreground || evidence.is_foreground();
        const double mean = exact_sum(evidence.probabilities) / static_cast<double>(evidence.clips.size());
        faces.push_back({track, mean, decides, std::move(evidence.clips)});
    }
    return faces;
}

std::optional<double> video_probability(const std::vector<FaceVerdict> &faces) {
    std::optional<double> highest;
    for (const FaceVerdict &face : faces) {
        if (face.decides && (!highest || face.fake_probability > *highest)) {
            highest = face.fake_probability;
        }
    }
    return highest;
}

State video_state(const std::string &failure, const ClipCounts &counts, bool is_judged) {
    if (!failure.empty()) {
        return {counts.frames > 0 ? FLOWTELL_TRUNCATED : FLOWTELL_UNDECODABLE, failure};
    }
    if (is_judged) {
        return {FLOWTELL_JUDGED, ""};
    }
    if (counts.frames <= min_pairs) {
        return {FLOWTELL_TOO_SHORT, "it has " + std::to_string(counts.frames) + " different frames and " +
                                        std::to_string(min_pairs + 1) + " are needed"};
    }
    if (counts.found_faces > 0) {
        return {FLOWTELL_TOO_SHORT, "no face stays in view for " + std::to_string(min_pairs) + " pairs of frames"};
    }
    if (counts.small_faces > 0) {
        return {FLOWTELL_FACE_TOO_SMALL,
                "its faces are under " + std::to_string(min_face_px) + " px; use a larger version of the video"};
    }
    return {FLOWTELL_NO_FACE, "no face was found in its " + std::to_string(counts.frames) + " frames"};
}

std::string missing_evidence(const std::vector<FaceVerdict> &faces, const std::vector<JudgedClip> &judged,
                             int64_t pairs, const Manifest &manifest) {
    const LeastEvidence &least = manifest.least_evidence;
    if (faces.empty()) {
        return "";
    }
    if (pairs < least.pairs) {
        return "a face was followed for " + std::to_string(pairs) + " pairs of frames, and below " +
               std::to_string(least.pairs) + " this bundle abstains";
    }
    int32_t side_px = 0;
    for (const FaceVerdict &face : faces) {
        for (const size_t clip : face.clips) {
            side_px = face.decides ? std::max(side_px, judged[clip].box.w) : side_px;
        }
    }
    const auto face_px = static_cast<int64_t>(side_px / manifest.crop_margin);
    if (face_px < least.face_px) {
        return "its largest face has " + std::to_string(face_px) + " px, and below " + std::to_string(least.face_px) +
               " px this bundle abstains";
    }
    return "";
}

const char *state_name(int32_t code) noexcept {
    static constexpr const char *names[] = {"ok",          "no_face",   "face_too_small", "too_short",
                                            "undecodable", "truncated", "thin_evidence"};
    return names[code];
}

} // namespace flowtell_core
