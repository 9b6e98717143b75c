#include "detector.h"

#include "filled_struct.h"
#include "status.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

namespace {

using flowtell_core::Bundle;
using flowtell_core::error;

static_assert(sizeof(size_t) >= 8, "libflowtell addresses clips of more than 4 GiB: it needs a 64-bit machine");

constexpr int32_t flow_stride = 4; // PWC-Net gives its flow at a quarter of the crop's size

void require_precision(const std::string &precision) {
    if (precision == "bf16") {
        throw error(FLOWTELL_PROVIDER_ERROR,
                    "the provider 'openvino' alone computes in bf16, and this library does not run it: take another "
                    "precision");
    }
    if (precision != "fp32" && precision != "fp16" && precision != "int8") {
        throw error(FLOWTELL_INVALID_ARGUMENT, "precision must be one of fp32, fp16, int8, not '%s'",
                    precision.c_str());
    }
}

Bundle open_with_detector(const std::string &folder) {
    Bundle bundle = Bundle::open(folder);
    const auto &graphs = bundle.manifest.graphs;
    if (std::none_of(graphs.begin(), graphs.end(), [](const auto &graph) { return graph.first == "detector"; })) {
        throw error(FLOWTELL_BUNDLE_ERROR, "the bundle '%s' has no detector graph, so it cannot judge",
                    bundle.manifest.name.c_str());
    }
    return bundle;
}

bool runs_plan(const flowtell_core::Provider &provider) {
    return std::strcmp(provider.reported_name, flowtell_core::plan_provider_name) == 0;
}

// A number that is none must not become a verdict.
void require_finite(const float *values, size_t count) {
    if (!std::all_of(values, values + count, [](float value) { return std::isfinite(value); })) {
        throw error(FLOWTELL_BUNDLE_ERROR,
                    "detector.onnx gave a logit that is not a number: the bundle is not fit for use");
    }
}

} // namespace

namespace flowtell_core {

Detector::Detector(const std::string &bundle, const char *provider, const std::string &precision,
                   const std::string &onnxruntime)
    : bundle_(open_with_detector(bundle)), runtime_(Runtime::load(onnxruntime)),
      provider_(resolve_provider(provider, *runtime_)), precision_(precision),
      session_(runs_plan(provider_) ? nullptr
                                    : std::make_unique<const Session>(runtime_, bundle_, "detector", precision)),
      plan_(runs_plan(provider_) ? PlanSession::open(bundle_, precision) : nullptr),
      faces_(runtime_, bundle_, "faces", "fp32"), cuts_(runtime_, bundle_, "cuts", "fp32"),
      crop_(runtime_, bundle_, "crop", "fp32") {}

FaceGraphs Detector::face_graphs() const noexcept {
    const Manifest &manifest = bundle_.manifest;
    return {faces_, cuts_, crop_, manifest.crop_size, manifest.pairs_per_clip, manifest.crop_margin};
}

size_t Detector::clip_bytes(int32_t pairs) const noexcept {
    const auto side = static_cast<size_t>(bundle_.manifest.crop_size);
    return (static_cast<size_t>(pairs) + 1) * side * side * 3;
}

size_t Detector::flow_values(int32_t pairs) const noexcept {
    const auto side = static_cast<size_t>(bundle_.manifest.crop_size / flow_stride);
    return static_cast<size_t>(pairs) * side * side * 2;
}

ClipScores Detector::score(const uint8_t *clip, int32_t pairs, float *flow) const {
    if (plan_ != nullptr) {
        ClipScores scores = {0.0F, std::vector<float>(static_cast<size_t>(pairs))};
        std::vector<float> own_flow(flow == nullptr ? 0 : flow_values(pairs));
        plan_->run(clip, pairs, scores.pair_logits.data(), &scores.clip_logit,
                   flow == nullptr ? nullptr : own_flow.data());
        require_finite(scores.pair_logits.data(), scores.pair_logits.size());
        require_finite(&scores.clip_logit, 1);
        std::copy(own_flow.begin(), own_flow.end(), flow);
        return scores;
    }
    const int64_t side = bundle_.manifest.crop_size;
    const Input input = {clip, clip_bytes(pairs), {1, int64_t{pairs} + 1, side, side, 3}};
    const Outputs outputs = session_->run({input}, flow == nullptr ? 2 : 3);
    if (flow != nullptr) {
        outputs.require_shape(2, {1, pairs, side / flow_stride, side / flow_stride, 2});
    }
    outputs.require_shape(0, {1, pairs});
    outputs.require_shape(1, {1});
    const float *pair_logits = outputs.data<float>(0), *clip_logit = outputs.data<float>(1);
    require_finite(pair_logits, static_cast<size_t>(pairs));
    require_finite(clip_logit, 1);
    if (flow != nullptr) {
        std::copy_n(outputs.data<float>(2), flow_values(pairs), flow);
    }
    return {*clip_logit, {pair_logits, pair_logits + pairs}};
}

} // namespace flowtell_core

flowtell_status flowtell_detector_open(const flowtell_options *options, flowtell_detector **detector) {
    return flowtell_core::guarded([&] {
        flowtell_core::require_argument(options, "options struct");
        flowtell_core::require_argument(detector, "place for the detector");
        flowtell_core::require_struct_size(options->struct_size, sizeof(flowtell_options), "options");
        flowtell_core::require_argument(options->bundle, "bundle's folder");
        const std::string runtime = options->onnxruntime == nullptr ? "" : options->onnxruntime;
        const std::string precision = options->precision == nullptr ? "fp32" : options->precision;
        require_precision(precision);
        *detector = new flowtell_detector{
            std::make_shared<const flowtell_core::Detector>(options->bundle, options->provider, precision, runtime)};
    });
}

void flowtell_detector_close(flowtell_detector *detector) { delete detector; }

flowtell_status flowtell_detector_describe(const flowtell_detector *detector, flowtell_detector_info *info) {
    return flowtell_core::guarded([&] {
        flowtell_core::require_argument(detector, "detector");
        const flowtell_core::Detector &shared = *detector->shared;
        const flowtell_core::Manifest &manifest = shared.bundle().manifest;
        flowtell_detector_info filled = {};
        filled.crop_size = manifest.crop_size;
        filled.pairs_per_clip = manifest.pairs_per_clip;
        filled.threshold = shared.threshold();
        filled.bundle_name = manifest.name.c_str();
        filled.bundle_sha256 = shared.bundle().sha256.c_str();
        filled.bundle_licence = manifest.licence.c_str();
        filled.provider = shared.provider().reported_name;
        filled.precision = shared.precision().c_str();
        filled.onnxruntime_version = shared.onnxruntime_version().c_str();
        flowtell_core::fill_struct(filled, info, "detector_info");
    });
}

flowtell_status flowtell_score_clips(const flowtell_detector *detector, const uint8_t *clips, size_t clips_bytes,
                                     int32_t clip_count, int32_t frames_per_clip, const flowtell_scores *scores) {
    return flowtell_core::guarded([&] {
        flowtell_core::require_argument(detector, "detector");
        flowtell_core::require_argument(clips, "array of clips");
        flowtell_core::require_argument(scores, "scores struct");
        flowtell_core::require_struct_size(scores->struct_size, sizeof(flowtell_scores), "scores");
        flowtell_core::require_argument(scores->clip_logits, "array for the clip logits");
        if (clip_count < 1 || frames_per_clip < 2) {
            throw error(FLOWTELL_INVALID_ARGUMENT, "clips must hold at least one clip of at least two frames");
        }
        const flowtell_core::Detector &shared = *detector->shared;
        const int32_t pairs = frames_per_clip - 1;
        const size_t clip_bytes = shared.clip_bytes(pairs), flow_values = shared.flow_values(pairs);
        if (clips_bytes / clip_bytes != static_cast<size_t>(clip_count) || clips_bytes % clip_bytes != 0) {
            const int32_t side = shared.bundle().manifest.crop_size;
            throw error(FLOWTELL_INVALID_ARGUMENT,
                        "clips must be uint8 [%" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", 3], not %zu bytes",
                        clip_count, frames_per_clip, side, side, clips_bytes);
        }
        for (size_t i = 0; i < static_cast<size_t>(clip_count); ++i) {
            float *flow = scores->flow == nullptr ? nullptr : scores->flow + i * flow_values;
            const flowtell_core::ClipScores scored = shared.score(clips + i * clip_bytes, pairs, flow);
            scores->clip_logits[i] = scored.clip_logit;
            if (scores->pair_logits != nullptr) {
                std::copy(scored.pair_logits.begin(), scored.pair_logits.end(),
                          scores->pair_logits + i * static_cast<size_t>(pairs));
            }
            if (scores->fake_probabilities != nullptr) {
                scores->fake_probabilities[i] = flowtell_core::sigmoid(scored.clip_logit);
            }
        }
    });
}
