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
std::vector<int32_t> deciding_tracks(const std::vector<ClipFacts> &clips, int32_t pairs_per_clip) {
    struct Evidence {
        int64_t clips = 0, background = 0, pairs = 0;
    };
    std::map<int32_t, Evidence> tracks;
    for (const ClipFacts &clip : clips) {
        Evidence &evidence = tracks[clip.track];
        ++evidence.clips;
        evidence.background += clip.is_background;
        evidence.pairs += clip.pairs;
    }
    std::vector<int32_t> all, foreground, solid;
    for (const auto &[track, evidence] : tracks) {
        all.push_back(track);
        if (2 * evidence.background <= evidence.clips) {
            foreground.push_back(track);
            if (evidence.pairs >= pairs_per_clip) {
                solid.push_back(track);
            }
        }
    }
    return !solid.empty() ? solid : !foreground.empty() ? foreground : all;
}

std::vector<FaceVerdict> faces_from_clips(const std::vector<JudgedClip> &judged, int32_t pairs_per_clip) {
    std::vector<ClipFacts> facts;
    std::map<int32_t, std::vector<size_t>> tracks;
    for (size_t i = 0; i < judged.size(); ++i) {
        const JudgedClip &clip = judged[i];
        facts.push_back({clip.track, clip.is_background, static_cast<int32_t>(clip.pair_logits.size())});
        tracks[clip.track].push_back(i);
    }
    const std::vector<int32_t> deciding = deciding_tracks(facts, pairs_per_clip);
    std::vector<FaceVerdict> faces;
    for (auto &[track, clips] : tracks) {
        std::vector<double> probabilities;
        for (const size_t clip : clips) {
            probabilities.push_back(sigmoid(judged[clip].logit));
        }
        const double mean = exact_sum(probabilities) / static_cast<double>(clips.size());
        faces.push_back({track, mean, std::binary_search(deciding.begin(), deciding.end(), track), std::move(clips)});
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
                             const std::vector<ClipFacts> &made, const Manifest &manifest) {
    const LeastEvidence &least = manifest.least_evidence;
    if (faces.empty()) {
        return "";
    }
    const std::vector<int32_t> speaking = deciding_tracks(made, manifest.pairs_per_clip);
    int64_t pairs = 0;
    for (const ClipFacts &clip : made) {
        pairs += std::binary_search(speaking.begin(), speaking.end(), clip.track) ? clip.pairs : 0;
    }
    if (pairs < least.pairs) {
        return "the faces that decide are in view for " + std::to_string(pairs) + " pairs of frames, and below " +
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
