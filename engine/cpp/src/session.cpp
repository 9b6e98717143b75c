#include "session.h"

#include "cpu_features.h"
#include "plan_session.h"
#include "status.h"

#include <cstring>

namespace flowtell_core {

struct Value {
    const char *name;
    ONNXTensorElementDataType type;
    const char *type_name; // ONNX Runtime's
    size_t rank;
};

// What a graph of the bundle format takes and gives.
struct Signature {
    const char *graph;
    std::vector<Value> inputs, outputs;
};

} // namespace flowtell_core

namespace {

using flowtell_core::error;
using flowtell_core::OrtOwned;
using flowtell_core::Runtime;
using flowtell_core::Signature;
using flowtell_core::Value;

constexpr auto uint8_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
constexpr auto int64_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
constexpr auto float_type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;

const Signature &signature_of(const std::string &graph) {
    static const Signature signatures[] = {
        {"faces",
         {{"frame", uint8_type, "tensor(uint8)", 3}},
         {{"boxes", float_type, "tensor(float)", 2}, {"scores", float_type, "tensor(float)", 1}}},
        {"cuts",
         {{"frame", uint8_type, "tensor(uint8)", 3}, {"box", int64_type, "tensor(int64)", 1}},
         {{"signature", uint8_type, "tensor(uint8)", 3}}},
        {"crop",
         {{"frame", uint8_type, "tensor(uint8)", 3}, {"box", int64_type, "tensor(int64)", 1}},
         {{"crop", uint8_type, "tensor(uint8)", 3}}},
        {"detector",
         {{"clips", uint8_type, "tensor(uint8)", 5}},
         {{"pair_logits", float_type, "tensor(float)", 2},
          {"clip_logit", float_type, "tensor(float)", 1},
          {"flow", float_type, "tensor(float)", 5}}},
    };
    for (const Signature &signature : signatures) {
        if (graph == signature.graph) {
            return signature;
        }
    }
    throw error(FLOWTELL_INTERNAL_ERROR, "there is no signature for a %s graph", graph.c_str());
}

// One side of a session: how many values it has, and the name and type of each.
struct Side {
    const char *what;
    decltype(OrtApi::SessionGetInputCount) count;
    decltype(OrtApi::SessionGetInputName) name;
    decltype(OrtApi::SessionGetInputTypeInfo) type;
};

bool is_value(const Runtime &runtime, const OrtTypeInfo *info, const Value &wanted) {
    const OrtApi &api = runtime.api();
    const OrtTensorTypeAndShapeInfo *tensor = nullptr;
    const char *const doing = "cannot describe a graph";
    ONNXType kind = ONNX_TYPE_UNKNOWN;
    runtime.require(api.GetOnnxTypeFromTypeInfo(info, &kind), FLOWTELL_PROVIDER_ERROR, doing);
    if (kind != ONNX_TYPE_TENSOR) {
        return false; // a sequence, a map, an optional or a sparse tensor
    }
    runtime.require(api.CastTypeInfoToTensorInfo(info, &tensor), FLOWTELL_PROVIDER_ERROR, doing);
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t rank = 0;
    runtime.require(api.GetTensorElementType(tensor, &type), FLOWTELL_PROVIDER_ERROR, doing);
    runtime.require(api.GetDimensionsCount(tensor, &rank), FLOWTELL_PROVIDER_ERROR, doing);
    return type == wanted.type && rank == wanted.rank;
}

// Returns how many values the graph has on that side.
size_t require_side(const Runtime &runtime, const OrtSession *session, const std::string &file, const Side &side,
                    const std::vector<Value> &wanted) {
    const OrtApi &api = runtime.api();
    const char *const doing = "cannot describe a graph";
    size_t count = 0;
    runtime.require(side.count(session, &count), FLOWTELL_PROVIDER_ERROR, doing);
    OrtAllocator *allocator = nullptr;
    runtime.require(api.GetAllocatorWithDefaultOptions(&allocator), FLOWTELL_PROVIDER_ERROR, doing);
    std::vector<bool> found(wanted.size(), false);
    for (size_t i = 0; i < count; ++i) {
        char *raw_name = nullptr;
        runtime.require(side.name(session, i, allocator, &raw_name), FLOWTELL_PROVIDER_ERROR, doing);
        const std::string name = raw_name;
        runtime.require(api.AllocatorFree(allocator, raw_name), FLOWTELL_PROVIDER_ERROR, doing);
        OrtOwned<OrtTypeInfo> info(api.ReleaseTypeInfo);
        runtime.require(side.type(session, i, info.out()), FLOWTELL_PROVIDER_ERROR, doing);
        for (size_t w = 0; w < wanted.size(); ++w) {
            found[w] = found[w] || (name == wanted[w].name && is_value(runtime, info.get(), wanted[w]));
        }
    }
    for (size_t w = 0; w < wanted.size(); ++w) {
        if (!found[w]) {
            throw error(FLOWTELL_BUNDLE_ERROR, "'%s' must have the %s '%s', %s of rank %zu", file.c_str(), side.what,
                        wanted[w].name, wanted[w].type_name, wanted[w].rank);
        }
    }
    return count;
}

} // namespace

namespace flowtell_core {

Provider resolve_provider(const char *name, const Runtime &runtime) {
    static constexpr Provider cpu = {"cpu", "CPUExecutionProvider"};
    static constexpr Provider plan = {"tensorrt", plan_provider_name};
    const std::string asked = name == nullptr ? "auto" : name;
    if (asked == plan.name && has_plan_sessions) {
        return plan;
    }
    for (const char *known : {"openvino", "cuda", "tensorrt"}) {
        if (asked == known) {
            throw error(FLOWTELL_PROVIDER_ERROR,
                        "the provider '%s' is not built into the C library of flowtell %s: use 'cpu' or 'auto'", known,
                        flowtell_version());
        }
    }
    if (asked != "auto" && asked != cpu.name) {
        throw error(FLOWTELL_PROVIDER_ERROR,
                    "there is no provider '%s': choose one of auto, cpu, openvino, cuda, tensorrt", asked.c_str());
    }
    if (!runtime.has_provider(cpu.reported_name)) {
        throw error(FLOWTELL_PROVIDER_ERROR,
                    "this build of ONNX Runtime has no CPU provider: use the one of the Python "
                    "package onnxruntime");
    }
    return cpu;
}

std::vector<int64_t> Outputs::shape(size_t index) const {
    const OrtApi &api = runtime_.api();
    OrtOwned<OrtTensorTypeAndShapeInfo> info(api.ReleaseTensorTypeAndShapeInfo);
    const std::string doing = "cannot describe what '" + file_ + "' gave";
    runtime_.require(api.GetTensorTypeAndShape(values_[index].get(), info.out()), FLOWTELL_PROVIDER_ERROR, doing);
    size_t rank = 0;
    runtime_.require(api.GetDimensionsCount(info.get(), &rank), FLOWTELL_PROVIDER_ERROR, doing);
    std::vector<int64_t> sizes(rank);
    runtime_.require(api.GetDimensions(info.get(), sizes.data(), rank), FLOWTELL_PROVIDER_ERROR, doing);
    return sizes;
}

void Outputs::require_shape(size_t index, const std::vector<int64_t> &wanted) const {
    const std::vector<int64_t> found = shape(index);
    if (found == wanted) {
        return;
    }
    const auto listed = [](const std::vector<int64_t> &sizes) {
        std::string text = "(";
        for (const int64_t size : sizes) {
            text += (text.size() > 1 ? ", " : "") + std::to_string(size);
        }
        return text + ")";
    };
    throw error(FLOWTELL_BUNDLE_ERROR, "%s gave an array of shape %s, not %s", file_.c_str(), listed(found).c_str(),
                listed(wanted).c_str());
}

const void *Outputs::untyped_data(size_t index) const {
    void *data = nullptr;
    runtime_.require(runtime_.api().GetTensorMutableData(values_[index].get(), &data), FLOWTELL_PROVIDER_ERROR,
                     "cannot reach what '" + file_ + "' gave");
    return data;
}

Session::Session(std::shared_ptr<const Runtime> runtime, const Bundle &bundle, const std::string &graph,
                 const std::string &precision)
    : runtime_(std::move(runtime)), signature_(signature_of(graph)), memory_(runtime_->api().ReleaseMemoryInfo),
      session_(runtime_->api().ReleaseSession) {
    const std::vector<uint8_t> data = bundle.read_graph(graph, precision);
    file_ = bundle.manifest.graph(graph, precision)->file;
    const OrtApi &api = runtime_->api();
    const auto require = [&](OrtStatus *status, const std::string &doing) {
        runtime_->require(status, FLOWTELL_PROVIDER_ERROR, doing);
    };
    OrtOwned<OrtSessionOptions> options(api.ReleaseSessionOptions);
    const std::string setting = "cannot be set up";
    require(api.CreateSessionOptions(options.out()), setting);
    // with one thread inside, a score does not depend on what else is judged at the same time
    require(api.SetIntraOpNumThreads(options.get(), 1), setting);
    require(api.SetInterOpNumThreads(options.get(), 1), setting);
    require(api.SetSessionExecutionMode(options.get(), ORT_SEQUENTIAL), setting);
    require(api.SetSessionGraphOptimizationLevel(options.get(), ORT_ENABLE_ALL), setting);
    require(api.SetSessionLogSeverityLevel(options.get(), ORT_LOGGING_LEVEL_WARNING), setting);
    // the reasons stand in engine/flowtell/_onnxruntime.py
    require(api.AddSessionConfigEntry(options.get(), "session.load_model_format", "ONNX"), setting);
    if (!has_vnni()) {
        require(api.AddSessionConfigEntry(options.get(), "session.x64quantprecision", "1"), setting);
    }
    // The CPU provider is the one that ONNX Runtime takes where none is appended: there is nothing to fall back from.
    require(
        api.CreateSessionFromArray(runtime_->environment(), data.data(), data.size(), options.get(), session_.out()),
        "cannot load '" + file_ + "'");
    require(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, memory_.out()), setting);

    const Side inputs = {"input", api.SessionGetInputCount, api.SessionGetInputName, api.SessionGetInputTypeInfo};
    const Side outputs = {"output", api.SessionGetOutputCount, api.SessionGetOutputName, api.SessionGetOutputTypeInfo};
    const size_t input_count = require_side(*runtime_, session_.get(), file_, inputs, signature_.inputs);
    if (input_count > signature_.inputs.size()) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' wants inputs that the bundle format does not have", file_.c_str());
    }
    require_side(*runtime_, session_.get(), file_, outputs, signature_.outputs);
}

Outputs Session::run(const std::vector<Input> &inputs, size_t output_count) const {
    const OrtApi &api = runtime_->api();
    const std::string doing = "failed while it ran '" + file_ + "'";
    std::vector<OrtOwned<OrtValue>> owned;
    std::vector<const OrtValue *> values;
    std::vector<const char *> input_names, output_names;
    for (size_t i = 0; i < inputs.size(); ++i) {
        const Input &input = inputs[i];
        owned.emplace_back(api.ReleaseValue);
        // ONNX Runtime only reads what is an input; its interface does not say const
        runtime_->require(api.CreateTensorWithDataAsOrtValue(memory_.get(), const_cast<void *>(input.data), input.bytes,
                                                             input.shape.data(), input.shape.size(),
                                                             signature_.inputs[i].type, owned.back().out()),
                          FLOWTELL_PROVIDER_ERROR, doing);
        values.push_back(owned.back().get());
        input_names.push_back(signature_.inputs[i].name);
    }
    for (size_t i = 0; i < output_count; ++i) {
        output_names.push_back(signature_.outputs[i].name);
    }
    std::vector<OrtValue *> results(output_count, nullptr);
    OrtStatus *status = api.Run(session_.get(), nullptr, input_names.data(), values.data(), values.size(),
                                output_names.data(), output_count, results.data());
    Outputs outputs(*runtime_, file_);
    for (OrtValue *result : results) {
        outputs.values_.emplace_back(api.ReleaseValue);
        *outputs.values_.back().out() = result;
    }
    runtime_->require(status, FLOWTELL_PROVIDER_ERROR, doing);
    return outputs;
}

} // namespace flowtell_core
