/* Frames as the conformance tests hand them to a host on its standard input: for each a line
 *
 *     frame FORMAT WIDTH HEIGHT TIME_BITS BYTES
 *
 * (TIME_BITS: the double's 64 bits in hexadecimal) and then BYTES of packed planes. */
#ifndef FRAME_STREAM_H
#define FRAME_STREAM_H

#include <flowtell/flowtell.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the next frame into `*pixels`, which grows as needed; 1 where there was one, 0 at the end, -1 on nonsense. */
static inline int read_frame(FILE *in, uint8_t **pixels, flowtell_image *image, double *time_s) {
    int format = 0, width = 0, height = 0, consumed = 0;
    uint64_t time_bits = 0;
    size_t bytes = 0;
    char line[128];
    if (fgets(line, sizeof line, in) == NULL) {
        return 0;
    }
    consumed = sscanf(line, "frame %d %d %d %" SCNx64 " %zu", &format, &width, &height, &time_bits, &bytes);
    uint8_t *grown = consumed == 5 ? (uint8_t *)realloc(*pixels, bytes) : NULL;
    if (grown == NULL) {
        return -1;
    }
    *pixels = grown;
    if (fread(grown, 1, bytes, in) != bytes) {
        return -1;
    }
    memcpy(time_s, &time_bits, sizeof *time_s);
    const int64_t pixel_bytes = format == FLOWTELL_GREY || format == FLOWTELL_NV12   ? 1
                                : format == FLOWTELL_RGBA || format == FLOWTELL_BGRA ? 4
                                                                                     : 3;
    memset(image, 0, sizeof *image);
    image->struct_size = sizeof *image;
    image->format = format;
    image->width = width;
    image->height = height;
    image->planes[0] = grown;
    image->stride_bytes[0] = pixel_bytes * width;
    if (format == FLOWTELL_NV12) {
        image->planes[1] = grown + (size_t)width * (size_t)height;
        image->stride_bytes[1] = (width + 1) / 2 * 2;
    }
    return 1;
}

static inline uint64_t double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* One judged clip as a line that is equal only where every bit of it is. */
static inline void print_clip(const flowtell_clip *clip) {
    printf("clip %" PRId32 " %016" PRIx64 " %016" PRIx64 " %" PRId32 " %" PRId32 " %" PRId32 " %" PRId32 " %" PRId32
           " %08" PRIx32 " %016" PRIx64,
           clip->track, double_bits(clip->start_s), double_bits(clip->end_s), clip->box[0], clip->box[1], clip->box[2],
           clip->box[3], clip->is_background, float_bits((float)clip->logit), double_bits(clip->fake_probability));
    for (int32_t i = 0; i < clip->pair_count; ++i) {
        printf(" %08" PRIx32, float_bits(clip->pair_logits[i]));
    }
    printf("\n");
}

#endif
