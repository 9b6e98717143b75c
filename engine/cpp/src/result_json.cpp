// Writes a result as engine/flowtell/_result.py does: the same keys in the same order, the same digits.
#include "json.h"
#include "video.h"

namespace {

using flowtell_core::json_number;
using flowtell_core::json_quoted;

std::string clip_json(const flowtell_core::JudgedClip &clip) {
    std::string pair_logits;
    for (const float logit : clip.pair_logits) {
        pair_logits += (pair_logits.empty() ? "" : ", ") + json_number(logit);
    }
    const flowtell_core::Box &box = clip.box;
    return "{\"start_s\": " + json_number(clip.start_s) + ", \"end_s\": " + json_number(clip.end_s) + ", \"box\": [" +
           std::to_string(box.x) + ", " + std::to_string(box.y) + ", " + std::to_string(box.w) + ", " +
           std::to_string(box.h) + "], \"logit\": " + json_number(clip.logit) + ", \"pair_logits\": [" + pair_logits +
           "]}";
}

std::string face_json(const flowtell_core::FaceVerdict &face, const std::vector<flowtell_core::JudgedClip> &judged) {
    std::string clips;
    for (const size_t index : face.clips) {
        clips += (clips.empty() ? "" : ", ") + clip_json(judged[index]);
    }
    return "{\"track\": " + std::to_string(face.track) +
           ", \"fake_probability\": " + json_number(face.fake_probability) +
           ", \"decides\": " + (face.decides ? "true" : "false") + ", \"clips\": [" + clips + "]}";
}

} // namespace

std::string flowtell_core::Video::json(const char *file) const {
    static constexpr const char *verdicts[] = {"undecided", "original", "fake"};
    const VideoResult &result = *result_;
    const Manifest &manifest = detector_->bundle().manifest;
    std::string faces;
    for (const FaceVerdict &face : result.faces) {
        faces += (faces.empty() ? "" : ", ") + face_json(face, judged_);
    }
    const bool over_budget = sample_ && sample_->offered() > static_cast<size_t>(max_clips_);
    const ClipCounts &counts = maker_.counts();
    return std::string("{\"schema\": 1, \"file\": ") + json_quoted(file) + ", \"state\": \"" +
           state_name(result.state.code) +
           "\", \"reason\": " + (result.state.code == FLOWTELL_JUDGED ? "null" : json_quoted(result.state.reason)) +
           ", \"verdict\": \"" + verdicts[result.verdict] +
           "\", \"fake_probability\": " + (result.fake_probability ? json_number(*result.fake_probability) : "null") +
           ", \"pairs_judged\": " + std::to_string(result.pairs_judged) +
           ", \"pairs_total\": " + std::to_string(counts.pairs) + ", \"stopped\": \"" +
           (over_budget ? "budget" : "all") + "\", \"faces\": [" + faces +
           "], \"bundle\": {\"name\": " + json_quoted(manifest.name) + ", \"sha256\": \"" + detector_->bundle().sha256 +
           "\", \"licence\": " + json_quoted(manifest.licence) + "}, \"provider\": \"" +
           detector_->provider().reported_name + "\", \"precision\": \"" + detector_->precision() +
           "\", \"timing_ms\": {\"decode\": 0.0, \"faces\": " + json_number(counts.faces_ms) +
           ", \"crop\": " + json_number(counts.crop_ms) + ", \"detector\": " + json_number(detector_ms_) +
           ", \"total\": " + json_number(result.total_ms) + "}}";
}
