/*
 * flowtell: the C interface of libflowtell.
 *
 * A complete program, which turns one NV12 frame into the RGB bytes that flowtell's graphs take:
 *
 *     #include <flowtell/flowtell.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         const uint8_t luma[4] = {81, 81, 145, 145}, chroma[2] = {128, 128};
 *         uint8_t rgb[2 * 2 * 3];
 *         const flowtell_image frame = {
 *             sizeof frame, FLOWTELL_NV12, 2, 2, {luma, chroma}, {2, 2}};
 *         if (flowtell_to_rgb(&frame, rgb, sizeof rgb) != FLOWTELL_OK) {
 *             return fprintf(stderr, "%s\n", flowtell_last_error()), 1;
 *         }
 *         return printf("flowtell %s: first pixel %d %d %d\n", flowtell_version(), rgb[0], rgb[1], rgb[2]) < 0;
 *     }
 *
 * Built with `find_package(flowtell REQUIRED)` and `target_link_libraries(program PRIVATE flowtell::flowtell)`.
 *
 * Rules that hold for every function:
 *   - Nothing is thrown, printed or ended: a function that can fail returns a flowtell_status.
 *   - Pointers that come in are read during the call only and stay the caller's; strings that come out belong to the
 *     library and are never freed by the caller.
 *   - Every struct begins with `struct_size`, its size as the caller compiled it, and grows at its end only.
 *   - All functions may be called from several threads at once, on buffers that no other thread is writing.
 */
#ifndef FLOWTELL_FLOWTELL_H
#define FLOWTELL_FLOWTELL_H

#include <stddef.h>
#include <stdint.h>

#if defined(FLOWTELL_STATIC)
#define FLOWTELL_API
#elif defined(_WIN32) && defined(FLOWTELL_BUILDING)
#define FLOWTELL_API __declspec(dllexport)
#elif defined(_WIN32)
#define FLOWTELL_API __declspec(dllimport)
#else
#define FLOWTELL_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a program that was compiled against an older header could no longer run. */
#define FLOWTELL_ABI_VERSION 1

/* The FLOWTELL_ABI_VERSION that the library was built with: compare it with your own at start-up. */
FLOWTELL_API uint32_t flowtell_abi_version(void);

/* The library's version, such as "0.1.0". */
FLOWTELL_API const char *flowtell_version(void);

/* What became of a call: one of the values below. */
typedef int32_t flowtell_status;

enum {
    FLOWTELL_OK = 0,
    FLOWTELL_INVALID_ARGUMENT = 1,   /* a null pointer, a size or a stride that cannot be */
    FLOWTELL_UNSUPPORTED_FORMAT = 2, /* a pixel format that this version does not know */
    FLOWTELL_BUFFER_TOO_SMALL = 3    /* the result does not fit into the buffer */
};

/* One sentence that says what a status means; never NULL, also for numbers that are no status. */
FLOWTELL_API const char *flowtell_status_sentence(flowtell_status status);

/* One sentence about the latest failed call of the calling thread, with the numbers in question and what to do; empty
 * where none has failed. It stays as it is until the next failure in the same thread. */
FLOWTELL_API const char *flowtell_last_error(void);

/* How the pixels of an image lie in memory; 8 bits a value. */
enum {
    FLOWTELL_RGB = 1,  /* 3 bytes a pixel: R, G, B */
    FLOWTELL_BGR = 2,  /* 3 bytes a pixel: B, G, R, as OpenCV has it */
    FLOWTELL_RGBA = 3, /* 4 bytes a pixel; alpha is dropped, not blended */
    FLOWTELL_BGRA = 4, /* 4 bytes a pixel; alpha is dropped, not blended */
    FLOWTELL_GREY = 5, /* 1 byte a pixel, given to R, G and B alike */
    FLOWTELL_NV12 = 6  /* plane 0: Y, 1 byte a pixel; plane 1: U, V pairs, one a block of 2x2 pixels */
};

/* An image in the caller's memory. Row r of plane p begins at planes[p] + r * stride_bytes[p].
 * Width and height are 1 to 65536 px. A stride is at least a row's bytes; plane 1 and its stride count for NV12 only,
 * where odd sizes have (width + 1) / 2 pairs in (height + 1) / 2 rows. */
typedef struct flowtell_image {
    uint32_t struct_size; /* sizeof(flowtell_image) */
    int32_t format;       /* FLOWTELL_RGB ... FLOWTELL_NV12 */
    int32_t width;
    int32_t height;
    const uint8_t *planes[2];
    int64_t stride_bytes[2];
} flowtell_image;

/* Reorder an image into packed RGB, uint8 [height, width, 3], which is what every graph of a bundle takes.
 *
 * `rgb` has room for `rgb_bytes`, at least height * width * 3; it must not overlap the image. On failure nothing is
 * written. NV12 is taken as ITU-R BT.601 in limited range (Y 16 to 235, U and V 16 to 240), each U, V pair stands for
 * all pixels of its block, and the arithmetic is 32-bit, with coefficients in 1/256 and halves rounded up:
 *
 *     c = 298 * (Y - 16) + 128
 *     R = clamp((c + 409 * (V - 128)) >> 8)
 *     G = clamp((c - 100 * (U - 128) - 208 * (V - 128)) >> 8)
 *     B = clamp((c + 516 * (U - 128)) >> 8)
 *
 * where clamp(x) is x within 0 to 255. Every host gets the same bytes.
 * Returns FLOWTELL_INVALID_ARGUMENT, FLOWTELL_UNSUPPORTED_FORMAT or FLOWTELL_BUFFER_TOO_SMALL where it cannot. */
FLOWTELL_API flowtell_status flowtell_to_rgb(const flowtell_image *image, uint8_t *rgb, size_t rgb_bytes);

#ifdef __cplusplus
}
#endif

#endif
