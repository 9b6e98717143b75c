// ONNX Runtime, loaded at run time: libflowtell links against none, so that a host may bring any from 1.21 on.
#pragma once

#include "flowtell/flowtell.h"

#include <onnxruntime_c_api.h>

#include <memory>
#include <string>

namespace flowtell_core {

// A loaded ONNX Runtime and its environment. It stays in the process once loaded: its threads and static objects do
// not survive being unloaded.
class Runtime {
  public:
    // `path`: of the shared library; empty: $FLOWTELL_ONNXRUNTIME, or else the system's search by name.
    // Throws Error(FLOWTELL_PROVIDER_ERROR).
    static std::shared_ptr<const Runtime> load(const std::string &path);

    ~Runtime();
    Runtime(const Runtime &) = delete;
    Runtime &operator=(const Runtime &) = delete;

    const OrtApi &api() const noexcept { return *api_; }
    const OrtEnv *environment() const noexcept { return environment_; }
    const std::string &version() const noexcept { return version_; }

    // Throws Error(status) with `doing` and ONNX Runtime's own words where there are any; takes `failure`.
    void require(OrtStatus *failure, flowtell_status status, const std::string &doing) const;

    // Whether this build of ONNX Runtime has the provider.
    bool has_provider(const std::string &name) const;

  private:
    Runtime() = default;

    const OrtApi *api_ = nullptr;
    OrtEnv *environment_ = nullptr;
    std::string version_;
};

// Gives ONNX Runtime's objects back where they leave scope.
template <typename Object> class OrtOwned {
  public:
    using Release = void(ORT_API_CALL *)(Object *);

    explicit OrtOwned(Release release) : release_(release) {}
    OrtOwned(OrtOwned &&other) noexcept : object_(other.object_), release_(other.release_) { other.object_ = nullptr; }
    OrtOwned &operator=(OrtOwned &&) = delete;
    ~OrtOwned() {
        if (object_ != nullptr) {
            release_(object_);
        }
    }

    Object *get() const noexcept { return object_; }
    // For ONNX Runtime to write to; only while it is empty.
    Object **out() noexcept { return &object_; }

  private:
    Object *object_ = nullptr;
    Release release_;
};

} // namespace flowtell_core
