// Runs the graphs of a bundle: one ONNX Runtime session a graph, one intra-op thread a session.
#pragma once

#include "bundle.h"
#include "onnxruntime.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace flowtell_core {

// A provider by flowtell's short name and by its runtime's, which results use.
struct Provider {
    const char *name;
    const char *reported_name;
};

// What `name` stands for ("auto" or NULL: the CPU). Throws Error(FLOWTELL_PROVIDER_ERROR) where it cannot be used.
Provider resolve_provider(const char *name, const Runtime &runtime);

// A tensor in the caller's memory, for one run.
struct Input {
    const void *data;
    size_t bytes;
    std::vector<int64_t> shape;
};

// Outputs of one run, in the order of the format's signature. Valid as long as it lives.
class Outputs {
  public:
    Outputs(const Runtime &runtime, const std::string &file) : runtime_(runtime), file_(file) {}

    std::vector<int64_t> shape(size_t index) const;
    template <typename Value> const Value *data(size_t index) const {
        return static_cast<const Value *>(untyped_data(index));
    }
    // Throws Error(FLOWTELL_BUNDLE_ERROR) where the graph gave something else.
    void require_shape(size_t index, const std::vector<int64_t> &wanted) const;

  private:
    friend class Session;
    const void *untyped_data(size_t index) const;

    const Runtime &runtime_;
    const std::string &file_;
    std::vector<OrtOwned<OrtValue>> values_;
};

// One graph, ready to run from any number of threads at once.
class Session {
  public:
    // Loads the graph called `graph` and holds it to the bundle format's names, types and ranks. Throws Error.
    // It runs on the CPU provider.
    Session(std::shared_ptr<const Runtime> runtime, const Bundle &bundle, const std::string &graph,
            const std::string &precision);

    // Gives back the first `output_count` outputs of the signature. Throws Error(FLOWTELL_PROVIDER_ERROR).
    Outputs run(const std::vector<Input> &inputs, size_t output_count) const;

  private:
    std::shared_ptr<const Runtime> runtime_;
    std::string file_;
    const struct Signature &signature_;
    OrtOwned<OrtMemoryInfo> memory_;
    OrtOwned<OrtSession> session_;
};

} // namespace flowtell_core
