// A TensorRT for the control flow alone, version 10.13.3.9. Its plans are the text "fake plan"; it computes, from
// memory of fake_cuda.cpp: pair_logits[t] = mean of frame t+1 less mean of frame t, clip_logit = their mean, and
// flow[i] = i. It does so when somebody waits for the stream, as a GPU may.
#include "NvInferRuntime.h"

#include <cstring>
#include <map>
#include <string>

extern "C" {
int32_t getInferLibMajorVersion() noexcept { return 10; }
int32_t getInferLibMinorVersion() noexcept { return 13; }
int32_t getInferLibPatchVersion() noexcept { return 3; }
int32_t getInferLibBuildVersion() noexcept { return 9; }
void fake_cuda_later(void *stream, void (*work)(void *), void *argument);
}

namespace {

double mean(const uint8_t *values, int64_t count) {
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) {
        sum += values[i];
    }
    return sum / static_cast<double>(count);
}

class Context final : public nvinfer1::IExecutionContext {
  public:
    explicit Context(nvinfer1::ILogger &logger) : logger_(logger) {}

    bool setInputShape(const char *name, const nvinfer1::Dims &shape) noexcept override {
        shape_ = shape;
        return std::string(name) == "clips" && shape.nbDims == 5 && shape.d[0] == 1;
    }

    bool setTensorAddress(const char *name, void *address) noexcept override {
        addresses_[name] = address;
        return true;
    }

    bool enqueueV3(cudaStream_t stream) noexcept override {
        if (addresses_.size() != 4) {
            logger_.log(nvinfer1::ILogger::Severity::kERROR, "a tensor has no address");
            return false;
        }
        fake_cuda_later(
            stream, [](void *context) { static_cast<Context *>(context)->compute(); }, this);
        return true;
    }

  private:
    void compute() {
        const auto *clips = static_cast<const uint8_t *>(addresses_["clips"]);
        auto *logits = static_cast<float *>(addresses_["pair_logits"]);
        auto *flow = static_cast<float *>(addresses_["flow"]);
        const int64_t pairs = shape_.d[1] - 1, side = shape_.d[2], frame = side * side * 3;
        double sum = 0.0;
        for (int64_t t = 0; t < pairs; ++t) {
            logits[t] = static_cast<float>(mean(clips + (t + 1) * frame, frame) - mean(clips + t * frame, frame));
            sum += static_cast<double>(logits[t]);
        }
        *static_cast<float *>(addresses_["clip_logit"]) = static_cast<float>(sum / static_cast<double>(pairs));
        for (int64_t i = 0; i < pairs * (side / 4) * (side / 4) * 2; ++i) {
            flow[i] = static_cast<float>(i);
        }
    }

    nvinfer1::ILogger &logger_;
    nvinfer1::Dims shape_ = {};
    std::map<std::string, void *> addresses_;
};

class Engine final : public nvinfer1::ICudaEngine {
  public:
    explicit Engine(nvinfer1::ILogger &logger) : logger_(logger) {}
    nvinfer1::IExecutionContext *createExecutionContext() noexcept override { return new Context(logger_); }

  private:
    nvinfer1::ILogger &logger_;
};

class Runtime final : public nvinfer1::IRuntime {
  public:
    explicit Runtime(nvinfer1::ILogger &logger) : logger_(logger) {}
    nvinfer1::ICudaEngine *deserializeCudaEngine(const void *plan, std::size_t size) noexcept override {
        if (size == 9 && std::memcmp(plan, "fake plan", size) == 0) {
            return new Engine(logger_);
        }
        logger_.log(nvinfer1::ILogger::Severity::kERROR, "this is no plan of mine");
        return nullptr;
    }

  private:
    nvinfer1::ILogger &logger_;
};

} // namespace

void *createInferRuntime_INTERNAL(void *logger, int32_t) noexcept {
    return new Runtime(*static_cast<nvinfer1::ILogger *>(logger));
}
