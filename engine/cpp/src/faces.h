// Finds faces in a frame and cuts them out: faces.onnx, cuts.onnx, crop.onnx and the arithmetic of boxes.
#pragma once

#include "session.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

namespace flowtell_core {

// uint8 [height, width, 3] RGB, packed, in somebody else's memory.
struct RgbView {
    const uint8_t *pixels;
    int32_t width, height;

    size_t bytes() const noexcept { return size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height); }
};

// Whole even pixels of the frame, square; may reach outside the frame.
struct Box {
    int32_t x, y, w, h;
};

// Left, top, width and height in px of the frame, and a score in [0, 1].
struct Face {
    double x, y, w, h, score;

    double size_px() const noexcept { return w < h ? h : w; }
    double area_px2() const noexcept { return w * h; }
    // Share of the face's area inside `box`, 0 to 1.
    double share_inside(const Box &box) const noexcept;
};

// Means of 8x8 tiles of a box, uint8 [8, 8, 3], for finding shot cuts.
using CropSignature = std::array<uint8_t, 8 * 8 * 3>;

// Wall time in ms that a stage has taken so far.
class StageTimer {
  public:
    explicit StageTimer(double &total_ms) : total_ms_(total_ms) {}
    StageTimer(const StageTimer &) = delete;
    StageTimer &operator=(const StageTimer &) = delete;
    ~StageTimer() {
        const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - start_;
        total_ms_ += spent.count();
    }

  private:
    double &total_ms_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Faces, best score first. Throws Error where the graph fails.
std::vector<Face> find_faces(const Session &faces, const RgbView &image);

// Throws Error where the graph fails.
CropSignature sign_box(const Session &cuts, const RgbView &image, const Box &box);

// Appends the crop of `box`, uint8 [crop_size, crop_size, 3] RGB, to `frames`. Throws Error where the graph fails.
void cut_crop(const Session &crop, const RgbView &image, const Box &box, int32_t crop_size,
              std::vector<uint8_t> &frames);

// Merges candidates, float32 [count, 4] (x, y, w, h), that fire on one face into their score-weighted mean.
std::vector<Face> merge_candidates(const float *boxes, const float *scores, size_t count);

// The square around `face` whose side is `margin` times its longer side, on even pixels.
Box square_box(const Face &face, double margin) noexcept;

double intersection_over_union(const Box &first, const Box &second) noexcept;

} // namespace flowtell_core
