// From the logits of clips to the probability of a face and the verdict on a video: averages, no pixels.
#pragma once

#include "clips.h"
#include "manifest.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace flowtell_core {

// A clip's scores without its pixels.
struct JudgedClip {
    int32_t track;
    double start_s, end_s;
    Box box;
    bool is_background;
    double logit;
    std::vector<float> pair_logits;
};

struct FaceVerdict {
    int32_t track;
    double fake_probability;   // mean of its clips
    bool decides;              // whether it counts for the video
    std::vector<size_t> clips; // their places among those judged
};

struct State {
    int32_t code;       // FLOWTELL_JUDGED ...
    std::string reason; // empty for FLOWTELL_JUDGED
};

// 1 / (1 + exp(-logit)), without overflow at either end.
double sigmoid(double logit) noexcept;

// The tracks that speak for a video with these clips, in order.
std::vector<int32_t> deciding_tracks(const std::vector<ClipFacts> &clips, int32_t pairs_per_clip);

// The faces of these clips in order of their track.
std::vector<FaceVerdict> faces_from_clips(const std::vector<JudgedClip> &judged, int32_t pairs_per_clip);

// The highest probability among the faces that decide; nothing where there is no face.
std::optional<double> video_probability(const std::vector<FaceVerdict> &faces);

// `failure`: why the host could not read the video on, empty where it could.
State video_state(const std::string &failure, const ClipCounts &counts, bool is_judged);

// What a video with judged faces lacks for a verdict, in words; empty where it lacks nothing, or has no face.
// `made`: of the video's clips, judged or not.
std::string missing_evidence(const std::vector<FaceVerdict> &faces, const std::vector<JudgedClip> &judged,
                             const std::vector<ClipFacts> &made, const Manifest &manifest);

const char *state_name(int32_t code) noexcept;

} // namespace flowtell_core
