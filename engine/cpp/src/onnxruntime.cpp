#include "onnxruntime.h"

#include "status.h"

#include <charconv>
#include <cstdlib>
#include <vector>

#include <dlfcn.h>

namespace {

using flowtell_core::error;

// The functions used here are all in it, and every newer ONNX Runtime still offers it.
constexpr uint32_t wanted_api = 21;
static_assert(ORT_API_VERSION >= wanted_api, "libflowtell needs the headers of ONNX Runtime 1.21 or newer");

#if defined(__APPLE__)
constexpr const char *usual_names[] = {"libonnxruntime.dylib"};
#else
constexpr const char *usual_names[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
#endif

constexpr const char *how_to_find =
    "name one in flowtell_options.onnxruntime or in the environment variable FLOWTELL_ONNXRUNTIME; the Python package "
    "onnxruntime carries it as onnxruntime/capi/libonnxruntime.so.*";

// ONNX Runtime would print to stderr; what matters comes back as an OrtStatus.
void ORT_API_CALL discard(void *, OrtLoggingLevel, const char *, const char *, const char *, const char *) {}

// The named library is code: a program that runs with more rights than its caller does not take it from the caller.
const char *stated_library() {
#if defined(__GLIBC__)
    return ::secure_getenv("FLOWTELL_ONNXRUNTIME");
#else
    return std::getenv("FLOWTELL_ONNXRUNTIME");
#endif
}

void *open_library(const std::string &path) {
    // what an application looks at is nobody else's business; from 1.32 on it would report before it could be told not
    // to
    ::setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    const char *stated = stated_library();
    const std::string named = !path.empty() ? path : stated != nullptr ? stated : "";
    if (!named.empty()) {
        if (void *library = ::dlopen(named.c_str(), RTLD_NOW | RTLD_LOCAL)) {
            return library;
        }
        throw error(FLOWTELL_PROVIDER_ERROR, "ONNX Runtime cannot be loaded: %s", ::dlerror());
    }
    for (const char *name : usual_names) {
        if (void *library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
            return library;
        }
    }
    throw error(FLOWTELL_PROVIDER_ERROR, "no ONNX Runtime was found: %s", how_to_find);
}

// The second number of "1.22.0", which is the API version that a release brings; 0 where it is none.
uint32_t api_of_version(const std::string &version) {
    const size_t point = version.find('.');
    uint32_t minor = 0;
    if (point != std::string::npos && version.substr(0, point) == "1") {
        std::from_chars(version.data() + point + 1, version.data() + version.size(), minor);
    }
    return minor;
}

} // namespace

namespace flowtell_core {

std::shared_ptr<const Runtime> Runtime::load(const std::string &path) {
    void *library = open_library(path);
    using GetBase = const OrtApiBase *(ORT_API_CALL *)();
    const auto get_base = reinterpret_cast<GetBase>(::dlsym(library, "OrtGetApiBase"));
    if (get_base == nullptr) {
        throw error(FLOWTELL_PROVIDER_ERROR, "the library that was named is no ONNX Runtime: %s", how_to_find);
    }
    const OrtApiBase *base = get_base();
    const std::shared_ptr<Runtime> runtime(new Runtime);
    runtime->version_ = base->GetVersionString();
    // asking an older one for the API would make it print
    const bool is_new_enough = api_of_version(runtime->version_) >= wanted_api;
    runtime->api_ = is_new_enough ? base->GetApi(wanted_api) : nullptr;
    if (runtime->api_ == nullptr) {
        throw error(FLOWTELL_PROVIDER_ERROR, "ONNX Runtime %s is not one that flowtell can use: install 1.%u or newer",
                    runtime->version_.c_str(), static_cast<unsigned>(wanted_api));
    }
    runtime->require(runtime->api_->CreateEnvWithCustomLogger(discard, nullptr, ORT_LOGGING_LEVEL_WARNING, "flowtell",
                                                              &runtime->environment_),
                     FLOWTELL_PROVIDER_ERROR, "cannot start");
    runtime->require(runtime->api_->DisableTelemetryEvents(runtime->environment_), FLOWTELL_PROVIDER_ERROR,
                     "cannot be told to report nothing");
    return runtime;
}

Runtime::~Runtime() {
    if (environment_ != nullptr) {
        api_->ReleaseEnv(environment_);
    }
}

void Runtime::require(OrtStatus *failure, flowtell_status status, const std::string &doing) const {
    if (failure == nullptr) {
        return;
    }
    const std::string words = api_->GetErrorMessage(failure);
    api_->ReleaseStatus(failure);
    throw Error(status, "onnxruntime " + version_ + " " + doing + ": " + words);
}

bool Runtime::has_provider(const std::string &name) const {
    char **names = nullptr;
    int count = 0;
    require(api_->GetAvailableProviders(&names, &count), FLOWTELL_PROVIDER_ERROR, "cannot list its providers");
    bool found = false;
    for (int i = 0; i < count; ++i) {
        found = found || name == names[i];
    }
    require(api_->ReleaseAvailableProviders(names, count), FLOWTELL_PROVIDER_ERROR, "cannot list its providers");
    return found;
}

} // namespace flowtell_core
