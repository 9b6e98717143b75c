// The detector as a TensorRT plan that `flowtell plan` has built. One of two files implements this: with TensorRT
// (FLOWTELL_WITH_TENSORRT) or without.
#pragma once

#include "bundle.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace flowtell_core {

// Whether this library can run plans.
extern const bool has_plan_sessions;

// What results call the provider.
constexpr const char *plan_provider_name = "TensorRT plan";

// A plan, open. Any number of threads may use one; they take turns on the GPU.
class PlanSession {
  public:
    // Finds the plan of the bundle's detector for this machine's GPU in the user's cache.
    // Throws Error(FLOWTELL_PROVIDER_ERROR) where there is no GPU, no such plan, or TensorRT refuses it.
    static std::unique_ptr<PlanSession> open(const Bundle &bundle, const std::string &precision);

    virtual ~PlanSession() = default;

    // Judges one clip, uint8 [pairs + 1, S, S, 3]; `pair_logits` has room for `pairs` values, `flow` is NULL or has
    // room for pairs * (S / 4) * (S / 4) * 2. Throws Error(FLOWTELL_PROVIDER_ERROR).
    virtual void run(const uint8_t *clip, int32_t pairs, float *pair_logits, float *clip_logit, float *flow) = 0;
};

} // namespace flowtell_core
