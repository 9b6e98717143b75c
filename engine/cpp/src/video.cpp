#include "video.h"

#include "json.h"
#include "status.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>

namespace {

using flowtell_core::error;

// 8K in both its shapes, as engine/flowtell/_decode.py has it.
constexpr int32_t max_side_px = 8192;
constexpr int64_t max_frame_px = int64_t{8192} * 4320;

} // namespace

namespace flowtell_core {

Video::Video(std::shared_ptr<const Detector> detector, int32_t max_clips)
    : detector_(std::move(detector)), maker_(detector_->face_graphs()), max_clips_(max_clips) {
    if (max_clips > 0) {
        sample_.emplace(static_cast<size_t>(max_clips));
    }
}

void Video::require_frame(const flowtell_image &image, double time_s) const {
    require_struct_size(image.struct_size, sizeof(flowtell_image), "image");
    if (image.width > max_side_px || image.height > max_side_px || int64_t{image.width} * image.height > max_frame_px) {
        throw error(FLOWTELL_INVALID_ARGUMENT,
                    "its frames are %" PRId32 "x%" PRId32 " px; at most %" PRId32 " px a side and %" PRId64
                    " px in all are read",
                    image.width, image.height, max_side_px, max_frame_px);
    }
    if (!std::isfinite(time_s)) {
        throw error(FLOWTELL_INVALID_ARGUMENT, "the time of a frame must be a finite number of seconds");
    }
    if (latest_s_ && time_s < *latest_s_) {
        throw error(FLOWTELL_INVALID_ARGUMENT,
                    "a frame at %s s cannot follow one at %s s; push frames in the order of their times",
                    json_number(time_s).c_str(), json_number(*latest_s_).c_str());
    }
}

void Video::push(const flowtell_image &image, double time_s) {
    require_frame(image, time_s);
    if (!latest_s_) {
        begun_ = std::chrono::steady_clock::now();
    }
    const bool is_sized = image.width > 0 && image.height > 0; // flowtell_to_rgb() says what is wrong where it is not
    const RgbView size = {nullptr, is_sized ? image.width : 0, is_sized ? image.height : 0};
    frame_.resize(std::max<size_t>(size.bytes(), 1));
    if (const flowtell_status status = flowtell_to_rgb(&image, frame_.data(), size.bytes()); status != FLOWTELL_OK) {
        throw Error(status, flowtell_last_error());
    }
    const RgbView frame = {frame_.data(), image.width, image.height};
    const RgbView previous = {previous_.empty() ? nullptr : previous_.data(), width_, height_};
    is_lost_ = true; // until all of it has worked
    std::vector<FaceClip> done;
    maker_.push(frame, previous, time_s, done);
    take(std::move(done));
    std::swap(frame_, previous_);
    width_ = image.width;
    height_ = image.height;
    latest_s_ = time_s;
    is_lost_ = false;
}

void Video::finish(const std::string &failure) {
    is_lost_ = true; // until all of it has worked
    std::vector<FaceClip> done;
    maker_.finish(done);
    take(std::move(done));
    if (sample_) {
        for (const FaceClip &clip : sample_->take()) {
            judge(clip);
        }
    }
    VideoResult result = {};
    result.faces = faces_from_clips(judged_, detector_->bundle().manifest.pairs_per_clip);
    result.state = video_state(failure, maker_.counts(), !judged_.empty());
    const std::string missing =
        missing_evidence(result.faces, judged_, maker_.counts().made, detector_->bundle().manifest);
    if (!missing.empty()) {
        const bool is_whole = result.state.code == FLOWTELL_JUDGED;
        result.state = is_whole ? State{FLOWTELL_THIN_EVIDENCE, missing}
                                : State{result.state.code, result.state.reason + "; " + missing};
    } else {
        result.fake_probability = video_probability(result.faces);
    }
    if (result.fake_probability) {
        result.verdict = *result.fake_probability > detector_->threshold() ? FLOWTELL_FAKE : FLOWTELL_ORIGINAL;
    }
    for (const JudgedClip &clip : judged_) {
        result.pairs_judged += static_cast<int64_t>(clip.pair_logits.size());
    }
    if (latest_s_) {
        const std::chrono::duration<double, std::milli> total = std::chrono::steady_clock::now() - begun_;
        result.total_ms = total.count();
    }
    result_ = std::move(result);
    previous_.clear();
    is_lost_ = false;
}

void Video::take(std::vector<FaceClip> clips) {
    for (FaceClip &clip : clips) {
        if (sample_) {
            sample_->offer(std::move(clip));
        } else {
            judge(clip);
        }
    }
}

void Video::judge(const FaceClip &clip) {
    const StageTimer timer(detector_ms_);
    ClipScores scores = detector_->score(clip.frames.data(), clip.pairs, nullptr);
    judged_.push_back({clip.track, clip.start_s, clip.end_s, clip.box, clip.is_background, scores.clip_logit,
                       std::move(scores.pair_logits)});
}

} // namespace flowtell_core
