// Hostile arguments into streams: an input is a list of calls with the fields of their structs. Planes are exactly as
// large as the fields say, so that AddressSanitizer sees a read beyond them.
//
//     FLOWTELL_ONNXRUNTIME=... FLOWTELL_FUZZ_BUNDLE=tests/bundles/tiny fuzz_stream ...
#include "flowtell/flowtell.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr int64_t max_plane_bytes = 1 << 20;

class Input {
  public:
    Input(const uint8_t *data, size_t size) : data_(data), size_(size) {}
    bool is_empty() const { return size_ == 0; }

    template <typename Value> Value take() {
        Value value = {};
        const size_t bytes = size_ < sizeof value ? size_ : sizeof value;
        std::memcpy(&value, data_, bytes);
        data_ += bytes;
        size_ -= bytes;
        return value;
    }

  private:
    const uint8_t *data_;
    size_t size_;
};

flowtell_detector *open_detector() {
    const char *bundle = std::getenv("FLOWTELL_FUZZ_BUNDLE");
    const flowtell_options options = {sizeof options, bundle, "cpu", nullptr, nullptr};
    flowtell_detector *detector = nullptr;
    if (flowtell_detector_open(&options, &detector) != FLOWTELL_OK) {
        std::fprintf(stderr, "%s\n", flowtell_last_error());
        std::abort();
    }
    return detector;
}

// Bytes from a plane's start to the end of its last row; negative where no memory can back the fields.
int64_t plane_bytes(int64_t stride, int64_t rows, int64_t row_bytes) {
    if (rows < 1 || stride < row_bytes) {
        return 0; // refused before a byte is read
    }
    if (stride > max_plane_bytes || rows > max_plane_bytes || (rows - 1) * stride + row_bytes > max_plane_bytes) {
        return -1;
    }
    return (rows - 1) * stride + row_bytes;
}

void push(flowtell_stream *stream, Input &input) {
    flowtell_image image = {};
    const auto odd = input.take<uint8_t>();
    image.struct_size = odd & 1 ? input.take<uint32_t>() : sizeof image;
    image.format = odd & 2 ? input.take<int32_t>() : odd % 7;
    image.width = odd & 4 ? input.take<int32_t>() : input.take<uint8_t>();
    image.height = odd & 8 ? input.take<int32_t>() : input.take<uint8_t>();
    const bool is_luma = image.format == FLOWTELL_GREY || image.format == FLOWTELL_NV12;
    const bool has_alpha = image.format == FLOWTELL_RGBA || image.format == FLOWTELL_BGRA;
    const int64_t row_bytes = int64_t{image.width} * (is_luma ? 1 : has_alpha ? 4 : 3);
    const int64_t chroma_row_bytes = (int64_t{image.width} + 1) / 2 * 2;
    image.stride_bytes[0] = odd & 16 ? input.take<int64_t>() : row_bytes + input.take<uint8_t>() % 4;
    image.stride_bytes[1] = odd & 32 ? input.take<int64_t>() : chroma_row_bytes;
    double time_s = input.take<float>();
    if (odd & 64) {
        time_s = input.take<double>();
    }
    const int64_t first = plane_bytes(image.stride_bytes[0], image.height, row_bytes);
    const int64_t second = plane_bytes(image.stride_bytes[1], (int64_t{image.height} + 1) / 2, chroma_row_bytes);
    if (first < 0 || second < 0) {
        return;
    }
    const std::vector<uint8_t> luma(static_cast<size_t>(first), input.take<uint8_t>());
    const std::vector<uint8_t> chroma(static_cast<size_t>(second), input.take<uint8_t>());
    image.planes[0] = luma.data();
    image.planes[1] = odd & 128 ? nullptr : chroma.data();
    flowtell_stream_push(stream, &image, time_s);
}

void read_out(flowtell_stream *stream, Input &input) {
    flowtell_clip clip = {};
    clip.struct_size = sizeof clip;
    while (flowtell_stream_next(stream, &clip) == FLOWTELL_OK) {
    }
    flowtell_result result = {};
    result.struct_size = sizeof result;
    flowtell_stream_result(stream, &result);
    flowtell_face face = {};
    face.struct_size = sizeof face;
    flowtell_stream_face(stream, input.take<int32_t>(), &face);
    const char *json = nullptr;
    char name[9] = {};
    const auto bytes = input.take<uint64_t>();
    std::memcpy(name, &bytes, sizeof bytes);
    flowtell_stream_json(stream, name, &json);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static flowtell_detector *const detector = open_detector();
    Input input(data, size);
    const flowtell_stream_options options = {sizeof options, input.take<int8_t>()};
    flowtell_stream *stream = nullptr;
    if (flowtell_stream_open(detector, &options, &stream) != FLOWTELL_OK) {
        return 0;
    }
    for (int calls = 0; calls < 64 && !input.is_empty(); ++calls) {
        switch (input.take<uint8_t>() % 8) {
        case 0:
            flowtell_stream_finish(stream, input.take<uint8_t>() % 2 ? "the camera is gone" : nullptr);
            break;
        case 1:
            read_out(stream, input);
            break;
        default:
            push(stream, input);
        }
    }
    flowtell_stream_close(stream);
    return 0;
}
