// A stand-in for NVIDIA's header, which no package index has: declares what plan_session_tensorrt.cpp uses of
// TensorRT, for fake_tensorrt.cpp to implement. Names and arguments are TensorRT's; the classes' layout is not: what
// was compiled against it may link with NVIDIA's library, but not open a plan with it.
#pragma once

#include <cstddef>
#include <cstdint>

typedef struct CUstream_st *cudaStream_t;

extern "C" {
void *createInferRuntime_INTERNAL(void *logger, int32_t version) noexcept;
int32_t getInferLibMajorVersion() noexcept;
int32_t getInferLibMinorVersion() noexcept;
int32_t getInferLibPatchVersion() noexcept;
int32_t getInferLibBuildVersion() noexcept;
}

namespace nvinfer1 {

struct Dims {
    int32_t nbDims;
    int64_t d[8];
};

class ILogger {
  public:
    enum class Severity : int32_t { kINTERNAL_ERROR, kERROR, kWARNING, kINFO, kVERBOSE };
    virtual void log(Severity severity, const char *message) noexcept = 0;
    virtual ~ILogger() = default;
};

class IExecutionContext {
  public:
    virtual ~IExecutionContext() noexcept = default;
    virtual bool setInputShape(const char *name, const Dims &shape) noexcept = 0;
    virtual bool setTensorAddress(const char *name, void *address) noexcept = 0;
    virtual bool enqueueV3(cudaStream_t stream) noexcept = 0;
};

class ICudaEngine {
  public:
    virtual ~ICudaEngine() noexcept = default;
    virtual IExecutionContext *createExecutionContext() noexcept = 0;
};

class IRuntime {
  public:
    virtual ~IRuntime() noexcept = default;
    virtual ICudaEngine *deserializeCudaEngine(const void *plan, std::size_t size) noexcept = 0;
};

inline IRuntime *createInferRuntime(ILogger &logger) noexcept {
    return static_cast<IRuntime *>(createInferRuntime_INTERNAL(&logger, 0));
}

} // namespace nvinfer1
