// flowtell for C++17: the C interface of flowtell.h with owners, views and exceptions, all of it in this header.
//
//     flowtell::Detector detector({"bundle"});
//     flowtell::Stream stream(detector);
//     stream.push(flowtell::Image::rgb(pixels, width, height), time_s);
//     while (const auto clip = stream.next()) std::cout << clip->fake_probability << '\n';
//     stream.finish();
//     std::cout << stream.json("camera 1") << '\n';
//
// Threads and lifetimes are those of flowtell.h. Every function that calls the library throws flowtell::Error where
// that fails; nothing but Error and std::bad_alloc is thrown.
#ifndef FLOWTELL_FLOWTELL_HPP
#define FLOWTELL_FLOWTELL_HPP

#if __cplusplus < 201703L
#error "flowtell.hpp needs C++17: -std=c++17, or target_compile_features(... cxx_std_17) in CMake"
#endif

#include "flowtell/flowtell.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace flowtell {

// A call that failed; what() is the sentence of flowtell_last_error().
class Error : public std::runtime_error {
  public:
    explicit Error(flowtell_status status) : std::runtime_error(flowtell_last_error()), status_(status) {}
    flowtell_status status() const noexcept { return status_; }

  private:
    flowtell_status status_;
};

inline void require(flowtell_status status) {
    if (status != FLOWTELL_OK) {
        throw Error(status);
    }
}

// `size` values in somebody else's memory, as std::span of C++20.
template <typename Value> class View {
  public:
    constexpr View() noexcept = default;
    constexpr View(Value *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <typename Container, typename = decltype(std::declval<Container &>().data())>
    constexpr View(Container &container) noexcept : data_(container.data()), size_(container.size()) {}

    constexpr Value *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr Value *begin() const noexcept { return data_; }
    constexpr Value *end() const noexcept { return data_ + size_; }
    constexpr Value &operator[](std::size_t index) const noexcept { return data_[index]; }

  private:
    Value *data_ = nullptr;
    std::size_t size_ = 0;
};

// An image in the caller's memory. A stride of 0 means that rows follow one another without a gap.
struct Image {
    static flowtell_image packed(std::int32_t format, const std::uint8_t *pixels, std::int32_t width,
                                 std::int32_t height, std::int64_t stride_bytes = 0) noexcept {
        const std::int64_t pixel_bytes = format == FLOWTELL_GREY                              ? 1
                                         : format == FLOWTELL_RGBA || format == FLOWTELL_BGRA ? 4
                                                                                              : 3;
        const std::int64_t stride = stride_bytes == 0 ? pixel_bytes * width : stride_bytes;
        return {sizeof(flowtell_image), format, width, height, {pixels, nullptr}, {stride, 0}};
    }
    static flowtell_image rgb(const std::uint8_t *pixels, std::int32_t width, std::int32_t height,
                              std::int64_t stride_bytes = 0) noexcept {
        return packed(FLOWTELL_RGB, pixels, width, height, stride_bytes);
    }
    static flowtell_image bgr(const std::uint8_t *pixels, std::int32_t width, std::int32_t height,
                              std::int64_t stride_bytes = 0) noexcept {
        return packed(FLOWTELL_BGR, pixels, width, height, stride_bytes);
    }
    static flowtell_image nv12(const std::uint8_t *luma, std::int64_t luma_stride_bytes, const std::uint8_t *chroma,
                               std::int64_t chroma_stride_bytes, std::int32_t width, std::int32_t height) noexcept {
        return {sizeof(flowtell_image),
                FLOWTELL_NV12,
                width,
                height,
                {luma, chroma},
                {luma_stride_bytes, chroma_stride_bytes}};
    }
};

// What a detector is opened with; empty texts mean the usual, as NULL does in flowtell_options.
struct Options {
    std::string bundle;
    std::string provider = {};
    std::string precision = {};
    std::string onnxruntime = {};
};

// The scores of B clips of T pairs.
struct Scores {
    std::vector<float> clip_logits;         // [B]
    std::vector<float> pair_logits;         // [B, T]
    std::vector<double> fake_probabilities; // [B]
    std::vector<float> flow;                // [B, T, S/4, S/4, 2], empty unless asked for
};

// A bundle, opened. Copies share it; any number of threads may use one.
class Detector {
  public:
    explicit Detector(const Options &options) {
        const auto text = [](const std::string &value) { return value.empty() ? nullptr : value.c_str(); };
        const flowtell_options plain = {sizeof plain, options.bundle.c_str(), text(options.provider),
                                        text(options.precision), text(options.onnxruntime)};
        flowtell_detector *opened = nullptr;
        require(flowtell_detector_open(&plain, &opened));
        handle_ = {opened, flowtell_detector_close};
    }

    // Its strings last as long as a copy of the detector does.
    flowtell_detector_info describe() const {
        flowtell_detector_info info = {};
        info.struct_size = sizeof info;
        require(flowtell_detector_describe(handle_.get(), &info));
        return info;
    }

    // Judges uint8 [clip_count, frames_per_clip, S, S, 3] RGB.
    Scores score_clips(View<const std::uint8_t> clips, std::int32_t clip_count, std::int32_t frames_per_clip,
                       bool with_flow = false) const {
        const auto whole_side = static_cast<std::size_t>(describe().crop_size);
        const std::size_t frame_bytes = whole_side * whole_side * 3;
        const bool is_counted = clip_count >= 1 && frames_per_clip >= 2;
        const std::size_t clip_bytes = is_counted ? static_cast<std::size_t>(frames_per_clip) * frame_bytes : 1;
        if (!is_counted || clips.size() / clip_bytes != static_cast<std::size_t>(clip_count)) {
            // the library says what is wrong, before there are places for what it would give
            float place = 0.0F;
            const flowtell_scores places = {sizeof places, &place, nullptr, nullptr, nullptr};
            require(
                flowtell_score_clips(handle_.get(), clips.data(), clips.size(), clip_count, frames_per_clip, &places));
        }
        const auto count = static_cast<std::size_t>(clip_count);
        const auto pairs = static_cast<std::size_t>(frames_per_clip - 1);
        const std::size_t side = whole_side / 4;
        Scores scores = {std::vector<float>(count), std::vector<float>(count * pairs), std::vector<double>(count),
                         std::vector<float>(with_flow ? count * pairs * side * side * 2 : 0)};
        const flowtell_scores places = {sizeof places, scores.clip_logits.data(), scores.pair_logits.data(),
                                        scores.fake_probabilities.data(), with_flow ? scores.flow.data() : nullptr};
        require(flowtell_score_clips(handle_.get(), clips.data(), clips.size(), clip_count, frames_per_clip, &places));
        return scores;
    }

    flowtell_detector *get() const noexcept { return handle_.get(); }

  private:
    std::shared_ptr<flowtell_detector> handle_;
};

// A judged face clip that keeps its own numbers.
struct Clip {
    std::int32_t track;
    double start_s, end_s;
    std::array<std::int32_t, 4> box; // x, y, width, height
    bool is_background;
    double logit, fake_probability;
    std::vector<float> pair_logits;
};

// The frames of one video after the other. One thread at a time; can be moved, not copied.
class Stream {
  public:
    explicit Stream(const Detector &detector, std::int32_t max_clips = 0) {
        const flowtell_stream_options options = {sizeof options, max_clips};
        flowtell_stream *opened = nullptr;
        require(flowtell_stream_open(detector.get(), &options, &opened));
        handle_.reset(opened);
    }

    void push(const flowtell_image &image, double time_s) { require(flowtell_stream_push(get(), &image, time_s)); }

    // The next judged clip; nothing where none waits.
    std::optional<Clip> next() {
        flowtell_clip clip = {};
        clip.struct_size = sizeof clip;
        const flowtell_status status = flowtell_stream_next(get(), &clip);
        if (status == FLOWTELL_NO_CLIP) {
            return std::nullopt;
        }
        require(status);
        return Clip{clip.track,
                    clip.start_s,
                    clip.end_s,
                    {clip.box[0], clip.box[1], clip.box[2], clip.box[3]},
                    clip.is_background != 0,
                    clip.logit,
                    clip.fake_probability,
                    {clip.pair_logits, clip.pair_logits + clip.pair_count}};
    }

    // Ends the video; `failure` says why it could not be read on, and is empty where it ended.
    void finish(const std::string &failure = {}) {
        require(flowtell_stream_finish(get(), failure.empty() ? nullptr : failure.c_str()));
    }

    // Its strings last until the next push.
    flowtell_result result() {
        flowtell_result result = {};
        result.struct_size = sizeof result;
        require(flowtell_stream_result(get(), &result));
        return result;
    }

    std::vector<flowtell_face> faces() {
        std::vector<flowtell_face> faces(static_cast<std::size_t>(result().face_count));
        for (std::size_t i = 0; i < faces.size(); ++i) {
            faces[i].struct_size = sizeof(flowtell_face);
            require(flowtell_stream_face(get(), static_cast<std::int32_t>(i), &faces[i]));
        }
        return faces;
    }

    std::string json(const std::string &file) {
        const char *text = nullptr;
        require(flowtell_stream_json(get(), file.c_str(), &text));
        return text;
    }

    flowtell_stream *get() const noexcept { return handle_.get(); }

  private:
    struct Close {
        void operator()(flowtell_stream *stream) const noexcept { flowtell_stream_close(stream); }
    };
    std::unique_ptr<flowtell_stream, Close> handle_;
};

} // namespace flowtell

#endif
