// A bundle, opened, and what runs its graphs. Immutable: any number of threads may use one.
#pragma once

#include "clips.h"
#include "plan_session.h"
#include "session.h"
#include "verdict.h"

#include <memory>
#include <string>

namespace flowtell_core {

// The scores of one clip.
struct ClipScores {
    float clip_logit;
    std::vector<float> pair_logits;
};

class Detector {
  public:
    // Throws Error.
    Detector(const std::string &bundle, const char *provider, const std::string &precision,
             const std::string &onnxruntime);

    const Bundle &bundle() const noexcept { return bundle_; }
    const Provider &provider() const noexcept { return provider_; }
    const std::string &onnxruntime_version() const noexcept { return runtime_->version(); }
    const std::string &precision() const noexcept { return precision_; }
    double threshold() const noexcept { return bundle_.manifest.thresholds.front(); }
    FaceGraphs face_graphs() const noexcept;
    size_t clip_bytes(int32_t pairs) const noexcept;
    size_t flow_values(int32_t pairs) const noexcept;

    // Judges one clip, uint8 [pairs + 1, S, S, 3]; `flow` is NULL or has room for flow_values(pairs). Throws Error.
    ClipScores score(const uint8_t *clip, int32_t pairs, float *flow) const;

  private:
    Bundle bundle_;
    std::shared_ptr<const Runtime> runtime_;
    Provider provider_;
    std::string precision_;
    std::unique_ptr<const Session> session_; // the detector in ONNX Runtime,
    std::unique_ptr<PlanSession> plan_;      // or as a TensorRT plan
    Session faces_, cuts_, crop_;
};

} // namespace flowtell_core

// What the C interface calls by this name; streams keep the detector alive.
struct flowtell_detector {
    std::shared_ptr<const flowtell_core::Detector> shared;
};
