// One video on its way through a detector: frames in, judged clips and a result out.
#pragma once

#include "budget.h"
#include "detector.h"
#include "flowtell/flowtell.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace flowtell_core {

struct VideoResult {
    State state;
    std::vector<FaceVerdict> faces;
    std::optional<double> fake_probability;
    int32_t verdict;
    int64_t pairs_judged;
    double total_ms;
};

class Video {
  public:
    // `max_clips`: 0 to judge every clip as it completes.
    Video(std::shared_ptr<const Detector> detector, int32_t max_clips);

    // Takes the next frame and judges what it completed. Throws Error, with is_lost() afterwards where a graph failed.
    void push(const flowtell_image &image, double time_s);

    // Ends the video; `failure`: why it could not be read on, or empty.
    void finish(const std::string &failure);

    bool is_lost() const noexcept { return is_lost_; }
    int64_t pairs_total() const noexcept { return maker_.counts().pairs; }
    const std::vector<JudgedClip> &judged() const noexcept { return judged_; }
    const std::optional<VideoResult> &result() const noexcept { return result_; }

    // The result as one line of JSON; only after finish().
    std::string json(const char *file) const;

  private:
    void require_frame(const flowtell_image &image, double time_s) const;
    void take(std::vector<FaceClip> clips);
    void judge(const FaceClip &clip);

    std::shared_ptr<const Detector> detector_;
    ClipMaker maker_;
    std::optional<EvenSample> sample_;
    int32_t max_clips_;
    std::vector<uint8_t> frame_, previous_;
    int32_t width_ = 0, height_ = 0; // of the previous frame
    std::optional<double> latest_s_;
    std::vector<JudgedClip> judged_;
    std::optional<VideoResult> result_;
    double detector_ms_ = 0.0;
    std::chrono::steady_clock::time_point begun_; // with the first frame
    bool is_lost_ = false;
};

} // namespace flowtell_core
