/* The C interface, against values worked out by hand from the formulas in flowtell.h. */
#include "check.h"

#include <flowtell/flowtell.h>

#include <stdio.h>
#include <string.h>

static flowtell_image packed(int32_t format, int32_t width, int32_t height, const uint8_t *pixels, int64_t stride) {
    flowtell_image image = {0, 0, 0, 0, {NULL, NULL}, {0, 0}};
    image.struct_size = sizeof image;
    image.format = format;
    image.width = width;
    image.height = height;
    image.planes[0] = pixels;
    image.stride_bytes[0] = stride;
    return image;
}

static void test_version(void) {
    CHECK(flowtell_abi_version() == FLOWTELL_ABI_VERSION);
    CHECK(strcmp(flowtell_version(), EXPECTED_VERSION) == 0);
}

/* Each format carries the same two pixels, (1, 2, 3) and (4, 5, 6), or greys 7 and 8. */
static void test_packed_formats(void) {
    static const uint8_t rgb[] = {1, 2, 3, 4, 5, 6}, bgr[] = {3, 2, 1, 6, 5, 4};
    static const uint8_t rgba[] = {1, 2, 3, 99, 4, 5, 6, 0}, bgra[] = {3, 2, 1, 99, 6, 5, 4, 0}, grey[] = {7, 8};
    static const uint8_t grey_as_rgb[] = {7, 7, 7, 8, 8, 8};
    const struct {
        int32_t format;
        const uint8_t *pixels;
        int64_t row_bytes;
        const uint8_t *expected;
    } cases[] = {{FLOWTELL_RGB, rgb, 6, rgb},
                 {FLOWTELL_BGR, bgr, 6, rgb},
                 {FLOWTELL_RGBA, rgba, 8, rgb},
                 {FLOWTELL_BGRA, bgra, 8, rgb},
                 {FLOWTELL_GREY, grey, 2, grey_as_rgb}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint8_t out[7] = {0, 0, 0, 0, 0, 0, 77};
        const flowtell_image image = packed(cases[i].format, 2, 1, cases[i].pixels, cases[i].row_bytes);
        CHECK(flowtell_to_rgb(&image, out, 6) == FLOWTELL_OK);
        CHECK(memcmp(out, cases[i].expected, 6) == 0);
        CHECK(out[6] == 77); /* nothing is written past the image */
    }
}

static void test_stride_skips_padding(void) {
    static const uint8_t grey[] = {1, 2, 200, 200, 3, 4, 200, 200};
    static const uint8_t expected[] = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};
    uint8_t out[12];
    const flowtell_image image = packed(FLOWTELL_GREY, 2, 2, grey, 4);
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_OK);
    CHECK(memcmp(out, expected, sizeof expected) == 0);
}

/* One pixel at a time. Red, say, is Y 81, U 90, V 240: c = 298 * 65 + 128 = 19498, so R = (19498 + 45808) >> 8 = 255,
 * G = (19498 + 3800 - 23296) >> 8 = 0 and B = (19498 - 19608) >> 8 = -1, which clamps to 0. */
static void test_nv12_colours(void) {
    static const struct {
        uint8_t y, u, v, rgb[3];
    } cases[] = {
        {16, 128, 128, {0, 0, 0}},     {235, 128, 128, {255, 255, 255}}, {126, 128, 128, {128, 128, 128}},
        {81, 90, 240, {255, 0, 0}},    {145, 54, 34, {0, 255, 1}},       {41, 240, 110, {0, 0, 255}},
        {0, 128, 128, {0, 0, 0}},      {255, 128, 128, {255, 255, 255}}, {17, 128, 128, {1, 1, 1}},
        {100, 128, 129, {99, 97, 98}}, {100, 129, 128, {98, 97, 100}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        const uint8_t luma[1] = {cases[i].y}, chroma[2] = {cases[i].u, cases[i].v};
        uint8_t out[3];
        flowtell_image image = packed(FLOWTELL_NV12, 1, 1, luma, 1);
        image.planes[1] = chroma;
        image.stride_bytes[1] = 2;
        CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_OK);
        if (memcmp(out, cases[i].rgb, 3) != 0) {
            fprintf(stderr, "Y %d U %d V %d gave %d %d %d\n", cases[i].y, cases[i].u, cases[i].v, out[0], out[1],
                    out[2]);
            ++failures;
        }
    }
}

/* 3 x 3 with padded strides: the last column and row have chroma of their own. */
static void test_nv12_odd_size(void) {
    static const uint8_t luma[] = {126, 126, 126, 0, 126, 126, 126, 0, 126, 126, 126, 0};
    static const uint8_t chroma[] = {128, 128, 128, 129, 0, 0, 129, 128, 128, 128, 0, 0};
    /* c = 298 * 110 + 128 = 32908 -> 128; V 129: R = 33317 >> 8 = 130, G = 32700 >> 8 = 127;
     * U 129: G = 32808 >> 8 = 128, B = 33424 >> 8 = 130 */
    static const uint8_t expected[] = {128, 128, 128, 128, 128, 128, 130, 127, 128, 128, 128, 128, 128, 128,
                                       128, 130, 127, 128, 128, 128, 130, 128, 128, 130, 128, 128, 128};
    uint8_t out[27];
    flowtell_image image = packed(FLOWTELL_NV12, 3, 3, luma, 4);
    image.planes[1] = chroma;
    image.stride_bytes[1] = 6;
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_OK);
    CHECK(memcmp(out, expected, sizeof expected) == 0);
}

static void test_failures_say_why(void) {
    static const uint8_t pixels[12] = {0};
    uint8_t out[12];
    flowtell_image image = packed(FLOWTELL_RGB, 2, 2, pixels, 6);

    CHECK(strcmp(flowtell_last_error(), "") == 0);
    CHECK(flowtell_to_rgb(NULL, out, sizeof out) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(strstr(flowtell_last_error(), "image is NULL") != NULL);
    CHECK(flowtell_to_rgb(&image, NULL, sizeof out) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(strstr(flowtell_last_error(), "the RGB buffer is NULL") != NULL);
    CHECK(flowtell_to_rgb(&image, out, 11) == FLOWTELL_BUFFER_TOO_SMALL);
    CHECK(strstr(flowtell_last_error(), "11 bytes and the image takes 12") != NULL);

    image.stride_bytes[0] = 5;
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(strstr(flowtell_last_error(), "is 5 bytes, but a row takes 6") != NULL);
    image.stride_bytes[0] = -6;
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_INVALID_ARGUMENT);

    image = packed(FLOWTELL_NV12, 2, 2, pixels, 2);
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(strstr(flowtell_last_error(), "plane 1 of the image is NULL") != NULL);

    image = packed(42, 2, 2, pixels, 6);
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_UNSUPPORTED_FORMAT);
    image = packed(FLOWTELL_RGB, 0, 2, pixels, 6);
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_INVALID_ARGUMENT);
    image = packed(FLOWTELL_RGB, 65537, 2, pixels, INT64_MAX);
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_INVALID_ARGUMENT);
    image = packed(FLOWTELL_RGB, 2, 2, pixels, 6);
    image.struct_size = 4;
    CHECK(flowtell_to_rgb(&image, out, sizeof out) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(strstr(flowtell_last_error(), "struct_size of the image is 4") != NULL);
}

static void test_each_status_has_its_own_sentence(void) {
    for (flowtell_status a = FLOWTELL_OK; a <= FLOWTELL_INTERNAL_ERROR + 1; ++a) {
        CHECK(strlen(flowtell_status_sentence(a)) > 0);
        for (flowtell_status b = FLOWTELL_OK; b < a; ++b) {
            CHECK(strcmp(flowtell_status_sentence(a), flowtell_status_sentence(b)) != 0);
        }
    }
    CHECK(strcmp(flowtell_status_sentence(-1), flowtell_status_sentence(1000)) == 0);
}

int main(void) {
    test_failures_say_why(); /* first: it looks at the error of a thread in which nothing has failed */
    test_version();
    test_packed_formats();
    test_stride_skips_padding();
    test_nv12_colours();
    test_nv12_odd_size();
    test_each_status_has_its_own_sentence();
    return failures == 0 ? 0 : 1;
}
