// Runs a plan by NVIDIA's TensorRT 10 or 11 or by TensorRT-RTX, whose headers and library the build was given. CUDA's
// driver is loaded at run time and asked for a GPU first: without one, TensorRT can end the process.
#include "plan_session.h"

#include "plan_cache.h"
#include "status.h"

#include <array>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include <NvInferRuntime.h>
#include <dlfcn.h>

namespace {

using flowtell_core::Bundle;
using flowtell_core::error;
using flowtell_core::PlanKey;

constexpr const char *driver_name = "libcuda.so.1";
constexpr int capability_major = 75, capability_minor = 76; // of CUdevice_attribute
constexpr int32_t flow_stride = 4;

// The functions of CUDA's driver interface that are used here, under the names that its library exports.
class Driver {
  public:
    using Address = unsigned long long; // CUdeviceptr

    Driver() : library_(::dlopen(driver_name, RTLD_NOW | RTLD_LOCAL)) {
        if (library_ == nullptr) {
            throw no_gpu("the NVIDIA driver (libcuda.so.1) is not there");
        }
        load("cuInit", init);
        load("cuDeviceGetCount", device_count);
        load("cuDeviceGet", device_get);
        load("cuDeviceGetName", device_name);
        load("cuDeviceGetAttribute", device_attribute);
        load("cuDevicePrimaryCtxRetain", context_retain);
        load("cuDevicePrimaryCtxRelease_v2", context_release);
        load("cuCtxPushCurrent_v2", context_push);
        load("cuCtxPopCurrent_v2", context_pop);
        load("cuMemAlloc_v2", allocate);
        load("cuMemFree_v2", release);
        load("cuMemcpyHtoDAsync_v2", copy_in);
        load("cuMemcpyDtoHAsync_v2", copy_out);
        load("cuStreamCreate", stream_create);
        load("cuStreamDestroy_v2", stream_destroy);
        load("cuStreamSynchronize", stream_wait);
        int count = 0;
        if (const int status = init(0)) {
            throw no_gpu("the NVIDIA driver finds no GPU that it can use (CUDA error " + std::to_string(status) + ")");
        }
        if (device_count(&count) != 0 || count < 1) {
            throw no_gpu("the NVIDIA driver counts no GPU");
        }
        require(device_get(&device, 0), "find its GPU");
    }

    static flowtell_core::Error no_gpu(const std::string &reason) {
        return {FLOWTELL_PROVIDER_ERROR, "the provider 'tensorrt' needs a CUDA GPU, and " + reason};
    }

    static void require(int status, const char *doing) {
        if (status != 0) {
            throw error(FLOWTELL_PROVIDER_ERROR, "CUDA cannot %s (CUDA error %d)", doing, status);
        }
    }

    std::string gpu_name() const {
        std::array<char, 256> name = {};
        require(device_name(name.data(), static_cast<int>(name.size()) - 1, device), "name its GPU");
        return name.data();
    }

    std::string compute_capability() const {
        int major = 0, minor = 0;
        require(device_attribute(&major, capability_major, device), "describe its GPU");
        require(device_attribute(&minor, capability_minor, device), "describe its GPU");
        return std::to_string(major) + "." + std::to_string(minor);
    }

    int device = 0;
    int (*init)(unsigned) = nullptr;
    int (*device_count)(int *) = nullptr;
    int (*device_get)(int *, int) = nullptr;
    int (*device_name)(char *, int, int) = nullptr;
    int (*device_attribute)(int *, int, int) = nullptr;
    int (*context_retain)(void **, int) = nullptr;
    int (*context_release)(int) = nullptr;
    int (*context_push)(void *) = nullptr;
    int (*context_pop)(void **) = nullptr;
    int (*allocate)(Address *, size_t) = nullptr;
    int (*release)(Address) = nullptr;
    int (*copy_in)(Address, const void *, size_t, void *) = nullptr;
    int (*copy_out)(void *, Address, size_t, void *) = nullptr;
    int (*stream_create)(void **, unsigned) = nullptr;
    int (*stream_destroy)(void *) = nullptr;
    int (*stream_wait)(void *) = nullptr;

  private:
    template <typename Function> void load(const char *name, Function &function) {
        function = reinterpret_cast<Function>(::dlsym(library_, name));
        if (function == nullptr) {
            throw no_gpu(std::string("the NVIDIA driver is too old: it lacks ") + name);
        }
    }

    void *library_; // stays in the process, as drivers do
};

// The device's primary context, which TensorRT uses too, current in this thread for a while.
class Current {
  public:
    Current(const Driver &driver, void *context) : driver_(driver) {
        Driver::require(driver.context_push(context), "use its context");
    }
    Current(const Current &) = delete;
    Current &operator=(const Current &) = delete;
    ~Current() {
        void *popped = nullptr;
        driver_.context_pop(&popped);
    }

  private:
    const Driver &driver_;
};

// Keeps TensorRT's latest error for the sentence, and prints nothing. TensorRT keeps the first logger of a process for
// as long as it runs, and calls it from any thread.
class Log : public nvinfer1::ILogger {
  public:
    static Log &of_process() {
        static Log *const log = new Log; // never deleted
        return *log;
    }

    void log(Severity severity, const char *message) noexcept override {
        if (severity <= Severity::kERROR) {
            const std::lock_guard<std::mutex> turn(mutex_);
            try {
                latest_ = message;
            } catch (const std::bad_alloc &) {
                latest_.clear();
            }
        }
    }

    // What was said since it was last asked for.
    std::string take() {
        const std::lock_guard<std::mutex> turn(mutex_);
        return std::exchange(latest_, {});
    }

  private:
    std::mutex mutex_;
    std::string latest_;
};

std::string tensorrt_version() {
    return std::to_string(getInferLibMajorVersion()) + "." + std::to_string(getInferLibMinorVersion()) + "." +
           std::to_string(getInferLibPatchVersion()) + "." + std::to_string(getInferLibBuildVersion());
}

PlanKey key_of(const Bundle &bundle, const std::string &precision, const Driver &driver) {
    PlanKey key;
    key.backend = FLOWTELL_PLAN_BACKEND;
    key.compute_capability = driver.compute_capability();
    key.gpu = key.backend == "tensorrt" ? driver.gpu_name() : "";
    key.graph_sha256 = bundle.manifest.graph("detector", precision)->sha256;
    key.precision = precision;
    key.crop_size = bundle.manifest.crop_size;
    key.pairs_per_clip = bundle.manifest.pairs_per_clip;
    key.version = tensorrt_version();
    return key;
}

class TensorRTSession final : public flowtell_core::PlanSession {
  public:
    TensorRTSession(const Bundle &bundle, const std::string &precision)
        : side_(bundle.manifest.crop_size), pairs_per_clip_(bundle.manifest.pairs_per_clip) {
        bundle.read_graph("detector", precision); // the file is what the manifest says, and so what the key says
        const std::vector<uint8_t> plan = flowtell_core::read_plan(key_of(bundle, precision, driver_));
        Driver::require(driver_.context_retain(&cuda_, driver_.device), "use its GPU");
        try {
            const Current current(driver_, cuda_);
            open(plan);
        } catch (...) {
            close();
            throw;
        }
    }
    TensorRTSession(const TensorRTSession &) = delete;
    TensorRTSession &operator=(const TensorRTSession &) = delete;
    ~TensorRTSession() override { close(); }

    void run(const uint8_t *clip, int32_t pairs, float *pair_logits, float *clip_logit, float *flow) override {
        if (pairs > pairs_per_clip_) {
            throw error(FLOWTELL_PROVIDER_ERROR, "the plan takes clips of at most %d pairs, not of %d",
                        static_cast<int>(pairs_per_clip_), static_cast<int>(pairs));
        }
        const std::lock_guard<std::mutex> turn(mutex_);
        const Current current(driver_, cuda_);
        nvinfer1::Dims shape = {};
        shape.nbDims = 5;
        const int32_t sizes[] = {1, pairs + 1, side_, side_, 3};
        for (int i = 0; i < 5; ++i) {
            shape.d[i] = static_cast<std::remove_reference_t<decltype(shape.d[i])>>(sizes[i]);
        }
        const size_t clip_bytes = (static_cast<size_t>(pairs) + 1) * static_cast<size_t>(side_ * side_ * 3);
        const auto count = static_cast<size_t>(pairs);
        const auto flow_side = static_cast<size_t>(side_ / flow_stride);
        Driver::require(driver_.copy_in(buffers_[0], clip, clip_bytes, stream_), "copy to its GPU");
        if (!context_->setInputShape("clips", shape) || !context_->enqueueV3(static_cast<cudaStream_t>(stream_))) {
            driver_.stream_wait(stream_); // what was begun still reads the clip
            throw failure("cannot run the plan");
        }
        int status = driver_.copy_out(pair_logits, buffers_[1], count * sizeof(float), stream_);
        status = status != 0 ? status : driver_.copy_out(clip_logit, buffers_[2], sizeof(float), stream_);
        if (flow != nullptr && status == 0) {
            status = driver_.copy_out(flow, buffers_[3], count * flow_side * flow_side * 2 * sizeof(float), stream_);
        }
        const int waited = driver_.stream_wait(stream_);
        Driver::require(status != 0 ? status : waited, "run the plan");
    }

  private:
    void open(const std::vector<uint8_t> &plan) {
        Log::of_process().take(); // of another detector
        runtime_.reset(nvinfer1::createInferRuntime(Log::of_process()));
        engine_.reset(runtime_ ? runtime_->deserializeCudaEngine(plan.data(), plan.size()) : nullptr);
        context_.reset(engine_ ? engine_->createExecutionContext() : nullptr);
        if (!context_) {
            throw failure("refuses the plan");
        }
        Driver::require(driver_.stream_create(&stream_, 0), "make a stream");
        const auto pairs = static_cast<size_t>(pairs_per_clip_), side = static_cast<size_t>(side_);
        const size_t flow_side = side / flow_stride;
        const size_t sizes[] = {(pairs + 1) * side * side * 3, pairs * sizeof(float), sizeof(float),
                                pairs * flow_side * flow_side * 2 * sizeof(float)};
        const char *const names[] = {"clips", "pair_logits", "clip_logit", "flow"};
        for (size_t i = 0; i < buffers_.size(); ++i) {
            Driver::require(driver_.allocate(&buffers_[i], sizes[i]), "give memory");
            if (!context_->setTensorAddress(names[i], reinterpret_cast<void *>(buffers_[i]))) {
                throw failure("has no use for a tensor of the bundle format");
            }
        }
    }

    // TensorRT's own words are the end of the sentence.
    flowtell_core::Error failure(const char *doing) const {
        const std::string words = Log::of_process().take();
        return {FLOWTELL_PROVIDER_ERROR,
                "TensorRT " + tensorrt_version() + " " + doing + ": " + (words.empty() ? "it gives no reason" : words)};
    }

    void close() noexcept {
        if (cuda_ == nullptr) {
            return;
        }
        void *popped = nullptr;
        const bool is_current = driver_.context_push(cuda_) == 0;
        context_.reset();
        engine_.reset();
        runtime_.reset();
        for (const Driver::Address buffer : buffers_) {
            if (buffer != 0) {
                driver_.release(buffer);
            }
        }
        if (stream_ != nullptr) {
            driver_.stream_destroy(stream_);
        }
        if (is_current) {
            driver_.context_pop(&popped);
        }
        driver_.context_release(driver_.device);
        cuda_ = nullptr;
    }

    Driver driver_; // first: without a GPU nothing below is asked
    int32_t side_, pairs_per_clip_;
    std::mutex mutex_;
    void *cuda_ = nullptr, *stream_ = nullptr;
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    std::unique_ptr<nvinfer1::IExecutionContext> context_;
    std::array<Driver::Address, 4> buffers_ = {}; // clips, pair_logits, clip_logit, flow
};

} // namespace

namespace flowtell_core {

const bool has_plan_sessions = true;

std::unique_ptr<PlanSession> PlanSession::open(const Bundle &bundle, const std::string &precision) {
    return std::make_unique<TensorRTSession>(bundle, precision);
}

} // namespace flowtell_core
