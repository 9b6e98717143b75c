#include "faces.h"

#include "exact_sum.h"
#include "status.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace {

using flowtell_core::Face;

// The reasons stand in engine/flowtell/_faces.py.
constexpr double same_face_iou = 0.3;
constexpr double max_corner_px = 1 << 20;
constexpr double min_side_px = 1.0;
constexpr int32_t min_frame_px = 32;

struct Candidate {
    double left, top, right, bottom, weight;
};

double overlap(const Candidate &a, const Candidate &b) {
    const double inside_w = std::max(std::min(a.right, b.right) - std::max(a.left, b.left), 0.0);
    const double inside_h = std::max(std::min(a.bottom, b.bottom) - std::max(a.top, b.top), 0.0);
    const double inside = inside_w * inside_h;
    const double area_a = (a.right - a.left) * (a.bottom - a.top);
    const double area_b = (b.right - b.left) * (b.bottom - b.top);
    return inside / (area_a + area_b - inside);
}

bool is_usable(const Candidate &c) {
    const auto is_near = [](double corner) { return std::abs(corner) <= max_corner_px; }; // not NaN, not infinite
    return is_near(c.left) && is_near(c.top) && is_near(c.right) && is_near(c.bottom) && std::isfinite(c.weight) &&
           c.weight > 0.0 && c.right - c.left >= min_side_px && c.bottom - c.top >= min_side_px;
}

double weighted_mean(const std::vector<Candidate> &voters, double Candidate::*corner, double total_weight) {
    std::vector<double> votes;
    for (const Candidate &voter : voters) {
        votes.push_back(voter.*corner * voter.weight);
    }
    return flowtell_core::exact_sum(votes) / total_weight;
}

Face voted_face(const std::vector<Candidate> &voters) {
    std::vector<double> weights;
    for (const Candidate &voter : voters) {
        weights.push_back(voter.weight);
    }
    const double total = flowtell_core::exact_sum(weights);
    const double left = weighted_mean(voters, &Candidate::left, total);
    const double top = weighted_mean(voters, &Candidate::top, total);
    const double right = weighted_mean(voters, &Candidate::right, total);
    const double bottom = weighted_mean(voters, &Candidate::bottom, total);
    return {left, top, right - left, bottom - top, voters.front().weight};
}

// floor(x + 0.5), not a rounding function: halves go one way in every language
int32_t nearest_even(double value) { return 2 * static_cast<int32_t>(std::floor(value / 2 + 0.5)); }

Candidate corners_of(const flowtell_core::Box &box) {
    return {double(box.x), double(box.y), double(box.x) + box.w, double(box.y) + box.h, 1.0};
}

flowtell_core::Input frame_input(const flowtell_core::RgbView &image) {
    return {image.pixels, image.bytes(), {image.height, image.width, 3}};
}

// What a graph that takes a frame and a box gives out.
flowtell_core::Outputs of_box(const flowtell_core::Session &graph, const flowtell_core::RgbView &image,
                              const flowtell_core::Box &box) {
    const int64_t sides[4] = {box.x, box.y, box.w, box.h};
    return graph.run({frame_input(image), {sides, sizeof sides, {4}}}, 1);
}

} // namespace

namespace flowtell_core {

double Face::share_inside(const Box &box) const noexcept {
    const double inside_w = std::min(x + w, double(box.x) + box.w) - std::max(x, double(box.x));
    const double inside_h = std::min(y + h, double(box.y) + box.h) - std::max(y, double(box.y));
    return std::max(inside_w, 0.0) * std::max(inside_h, 0.0) / area_px2();
}

std::vector<Face> find_faces(const Session &faces, const RgbView &image) {
    if (std::min(image.width, image.height) < min_frame_px) {
        return {};
    }
    const Outputs found = faces.run({frame_input(image)}, 2);
    int64_t count = 1;
    for (const int64_t size : found.shape(1)) {
        count *= size;
    }
    found.require_shape(1, {count});
    found.require_shape(0, {count, 4});
    return merge_candidates(found.data<float>(0), found.data<float>(1), static_cast<size_t>(count));
}

CropSignature sign_box(const Session &cuts, const RgbView &image, const Box &box) {
    const Outputs said = of_box(cuts, image, box);
    said.require_shape(0, {8, 8, 3});
    CropSignature signature;
    std::copy_n(said.data<uint8_t>(0), signature.size(), signature.begin());
    return signature;
}

void cut_crop(const Session &crop, const RgbView &image, const Box &box, int32_t crop_size,
              std::vector<uint8_t> &frames) {
    const Outputs cut = of_box(crop, image, box);
    cut.require_shape(0, {crop_size, crop_size, 3});
    const uint8_t *pixels = cut.data<uint8_t>(0);
    frames.insert(frames.end(), pixels,
                  pixels + size_t{3} * static_cast<size_t>(crop_size) * static_cast<size_t>(crop_size));
}

std::vector<Face> merge_candidates(const float *boxes, const float *scores, size_t count) {
    std::vector<Candidate> waiting;
    for (size_t i = 0; i < count; ++i) {
        const double x = boxes[4 * i], y = boxes[4 * i + 1];
        const Candidate candidate = {x, y, boxes[4 * i + 2] + x, boxes[4 * i + 3] + y, scores[i]};
        if (is_usable(candidate)) {
            waiting.push_back(candidate);
        }
    }
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const Candidate &a, const Candidate &b) { return a.weight > b.weight; });
    std::vector<Face> faces;
    while (!waiting.empty()) {
        const Candidate best = waiting.front();
        const auto others = std::stable_partition(waiting.begin(), waiting.end(), [&](const Candidate &candidate) {
            return overlap(best, candidate) >= same_face_iou;
        });
        faces.push_back(voted_face({waiting.begin(), others}));
        waiting.erase(waiting.begin(), others);
    }
    return faces;
}

Box square_box(const Face &face, double margin) noexcept {
    const double side = margin * face.size_px();
    const int32_t even_side = std::max(nearest_even(side), 2);
    return {nearest_even(face.x + face.w / 2 - side / 2), nearest_even(face.y + face.h / 2 - side / 2), even_side,
            even_side};
}

double intersection_over_union(const Box &first, const Box &second) noexcept {
    return overlap(corners_of(first), corners_of(second));
}

} // namespace flowtell_core
