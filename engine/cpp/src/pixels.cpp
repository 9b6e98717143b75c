// Reorders what cameras and decoders deliver into the packed RGB that the graphs take.
#include "flowtell/flowtell.h"

#include "status.h"

#include <algorithm>
#include <cinttypes>
#include <cstdint>

namespace {

using flowtell_core::fail;

// 65536 x 65536 x 4 bytes stay far inside 64 bits, so no product of sides can overflow.
constexpr int32_t max_side_px = 65536;

struct Packing {
    int64_t bytes_per_pixel;  // of plane 0
    int64_t red, green, blue; // byte of each colour within a pixel
};

bool packing_of(int32_t format, Packing &packing) {
    switch (format) {
    case FLOWTELL_RGB:
        packing = {3, 0, 1, 2};
        return true;
    case FLOWTELL_BGR:
        packing = {3, 2, 1, 0};
        return true;
    case FLOWTELL_RGBA:
        packing = {4, 0, 1, 2};
        return true;
    case FLOWTELL_BGRA:
        packing = {4, 2, 1, 0};
        return true;
    case FLOWTELL_GREY:
    case FLOWTELL_NV12: // its luma plane
        packing = {1, 0, 0, 0};
        return true;
    default:
        return false;
    }
}

// A plane of `rows` rows, at least 1, of `row_bytes` bytes each.
flowtell_status check_plane(const flowtell_image &image, int plane, int64_t row_bytes, int64_t rows) {
    if (image.planes[plane] == nullptr) {
        return fail(FLOWTELL_INVALID_ARGUMENT, "plane %d of the image is NULL; point it at its first row", plane);
    }
    if (image.stride_bytes[plane] < row_bytes) {
        return fail(FLOWTELL_INVALID_ARGUMENT,
                    "the stride of plane %d is %" PRId64 " bytes, but a row takes %" PRId64 "; give the bytes from one "
                    "row's start to the next",
                    plane, image.stride_bytes[plane], row_bytes);
    }
    if (image.stride_bytes[plane] > (PTRDIFF_MAX - row_bytes) / rows) {
        return fail(FLOWTELL_INVALID_ARGUMENT, "the stride of plane %d is %" PRId64 " bytes: no memory is so large",
                    plane, image.stride_bytes[plane]);
    }
    return FLOWTELL_OK;
}

uint8_t level(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum, 0, 255 << 8 | 255) >> 8); }

void packed_row(const uint8_t *pixel, const Packing &packing, int32_t width, uint8_t *rgb) {
    if (packing.bytes_per_pixel == 3 && packing.red == 0) {
        std::copy_n(pixel, 3 * static_cast<size_t>(width), rgb);
        return;
    }
    for (int32_t x = 0; x < width; ++x, pixel += packing.bytes_per_pixel, rgb += 3) {
        rgb[0] = pixel[packing.red];
        rgb[1] = pixel[packing.green];
        rgb[2] = pixel[packing.blue];
    }
}

void nv12_row(const uint8_t *luma, const uint8_t *chroma, int32_t width, uint8_t *rgb) {
    for (int32_t x = 0; x < width; ++x, rgb += 3) {
        const int32_t c = 298 * (luma[x] - 16) + 128;
        const int32_t u = chroma[x / 2 * 2] - 128;
        const int32_t v = chroma[x / 2 * 2 + 1] - 128;
        rgb[0] = level(c + 409 * v);
        rgb[1] = level(c - 100 * u - 208 * v);
        rgb[2] = level(c + 516 * u);
    }
}

} // namespace

flowtell_status flowtell_to_rgb(const flowtell_image *image, uint8_t *rgb, size_t rgb_bytes) {
    if (image == nullptr || rgb == nullptr) {
        return fail(FLOWTELL_INVALID_ARGUMENT, "the %s is NULL; give one", image == nullptr ? "image" : "RGB buffer");
    }
    if (image->struct_size < sizeof(flowtell_image)) {
        return fail(FLOWTELL_INVALID_ARGUMENT,
                    "the struct_size of the image is %" PRIu32 "; set it to sizeof(flowtell_image), which is %zu here",
                    image->struct_size, sizeof(flowtell_image));
    }
    Packing packing;
    if (!packing_of(image->format, packing)) {
        return fail(FLOWTELL_UNSUPPORTED_FORMAT,
                    "pixel format %" PRId32 " is unknown; use one of FLOWTELL_RGB to FLOWTELL_NV12", image->format);
    }
    if (image->width < 1 || image->width > max_side_px || image->height < 1 || image->height > max_side_px) {
        return fail(FLOWTELL_INVALID_ARGUMENT,
                    "an image of %" PRId32 " x %" PRId32 " px cannot be; each side is 1 to %" PRId32 " px",
                    image->width, image->height, max_side_px);
    }
    flowtell_status status = check_plane(*image, 0, image->width * packing.bytes_per_pixel, image->height);
    if (status == FLOWTELL_OK && image->format == FLOWTELL_NV12) {
        status = check_plane(*image, 1, (image->width + 1) / 2 * 2, (image->height + 1) / 2);
    }
    if (status != FLOWTELL_OK) {
        return status;
    }
    const uint64_t rgb_row_bytes = 3 * static_cast<uint64_t>(image->width);
    const uint64_t needed_bytes = rgb_row_bytes * static_cast<uint64_t>(image->height);
    if (rgb_bytes < needed_bytes) {
        return fail(FLOWTELL_BUFFER_TOO_SMALL,
                    "the RGB buffer has %zu bytes and the image takes %" PRIu64 "; enlarge it", rgb_bytes,
                    needed_bytes);
    }

    for (int32_t y = 0; y < image->height; ++y) {
        const uint8_t *row = image->planes[0] + y * image->stride_bytes[0];
        uint8_t *rgb_row = rgb + y * rgb_row_bytes;
        if (image->format == FLOWTELL_NV12) {
            nv12_row(row, image->planes[1] + y / 2 * image->stride_bytes[1], image->width, rgb_row);
        } else {
            packed_row(row, packing, image->width, rgb_row);
        }
    }
    return FLOWTELL_OK;
}
