// A libcuda.so.1 for the control flow alone: one GPU called "Fake 1" of compute capability 8.6 in host memory, or as
// many as FAKE_CUDA_DEVICES says. What is put into a stream is done when somebody waits for it. At the end of the
// process, what was not given back is said on stderr.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

namespace {

using Address = unsigned long long;

struct State {
    std::map<Address, size_t> memory;
    std::map<void *, std::vector<std::function<void()>>> streams;
    int retained = 0, pushed = 0;

    ~State() {
        if (!memory.empty() || !streams.empty() || retained != 0 || pushed != 0) {
            std::fprintf(stderr, "fake_cuda: %zu buffers, %zu streams, %d contexts, %d pushes were not given back\n",
                         memory.size(), streams.size(), retained, pushed);
        }
    }
};

State &state() {
    static State only;
    return only;
}

int device_count() {
    const char *stated = std::getenv("FAKE_CUDA_DEVICES");
    return stated == nullptr ? 1 : std::atoi(stated);
}

constexpr int success = 0, invalid_value = 1, out_of_memory = 2, no_device = 100;

bool is_within(Address address, size_t size) {
    const auto next = state().memory.upper_bound(address);
    if (next == state().memory.begin()) {
        return false;
    }
    const auto &[begin, length] = *std::prev(next);
    return address + size <= begin + length;
}

} // namespace

extern "C" {

int cuInit(unsigned) { return device_count() < 0 ? no_device : success; }

int cuDeviceGetCount(int *count) {
    *count = device_count();
    return success;
}

int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return success;
}

int cuDeviceGetName(char *name, int size, int) {
    std::snprintf(name, static_cast<size_t>(size), "Fake 1");
    return success;
}

int cuDeviceGetAttribute(int *value, int attribute, int) {
    *value = attribute == 75 ? 8 : 6;
    return success;
}

int cuDevicePrimaryCtxRetain(void **context, int) {
    *context = &state();
    ++state().retained;
    return success;
}

int cuDevicePrimaryCtxRelease_v2(int) {
    --state().retained;
    return success;
}

int cuCtxPushCurrent_v2(void *) {
    ++state().pushed;
    return success;
}

int cuCtxPopCurrent_v2(void **) {
    --state().pushed;
    return success;
}

int cuMemAlloc_v2(Address *address, size_t size) {
    if (std::getenv("FAKE_CUDA_FULL") != nullptr) {
        return out_of_memory;
    }
    *address = reinterpret_cast<Address>(std::malloc(size));
    state().memory[*address] = size;
    return success;
}

int cuMemFree_v2(Address address) {
    std::free(reinterpret_cast<void *>(address));
    return state().memory.erase(address) == 1 ? success : invalid_value;
}

int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t size, void *stream) {
    if (!is_within(to, size)) {
        return invalid_value;
    }
    state().streams.at(stream).push_back([=] { std::memcpy(reinterpret_cast<void *>(to), from, size); });
    return success;
}

int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t size, void *stream) {
    if (!is_within(from, size)) {
        return invalid_value;
    }
    state().streams.at(stream).push_back([=] { std::memcpy(to, reinterpret_cast<void *>(from), size); });
    return success;
}

int cuStreamCreate(void **stream, unsigned) {
    *stream = std::malloc(1);
    state().streams[*stream] = {};
    return success;
}

int cuStreamDestroy_v2(void *stream) {
    state().streams.erase(stream);
    std::free(stream);
    return success;
}

int cuStreamSynchronize(void *stream) {
    for (const auto &work : state().streams.at(stream)) {
        work();
    }
    state().streams.at(stream).clear();
    return success;
}

void fake_cuda_later(void *stream, void (*work)(void *), void *argument) {
    state().streams.at(stream).push_back([=] { work(argument); });
}
}
