/* Figures of the C library: what opening costs, and what the interface itself costs a call.
 *
 *     measure BUNDLE        prints one line of JSON
 *
 * A push of the frame before again takes the frame, compares it and returns: nothing is computed, so its time beyond
 * that of the bare copy and comparison is the interface's. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include <flowtell/flowtell.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WIDTH = 640, HEIGHT = 360, FRAME_BYTES = WIDTH * HEIGHT * 3, ROUNDS = 400 };

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

static int by_size(const void *first, const void *second) {
    const double a = *(const double *)first, b = *(const double *)second;
    return (a > b) - (a < b);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

static long resident_kb(void) {
    char line[256];
    long kilobytes = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmRSS: %ld", &kilobytes) == 1) {
            break;
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return kilobytes;
}

int main(int argc, char **argv) {
    static uint8_t pixels[FRAME_BYTES], copy[FRAME_BYTES];
    static double pushes_us[ROUNDS], copies_us[ROUNDS], empty_us[ROUNDS];
    const double begin_us = now_us();
    flowtell_options options = {sizeof options, argc > 1 ? argv[1] : NULL, "cpu", NULL, NULL};
    flowtell_image image = {sizeof image, FLOWTELL_RGB, WIDTH, HEIGHT, {pixels, NULL}, {3 * WIDTH, 0}};
    flowtell_clip clip = {sizeof clip, 0, 0.0, 0.0, {0, 0, 0, 0}, 0, 0, 0.0, 0.0, NULL};
    flowtell_detector *detector = NULL;
    flowtell_stream *stream = NULL;
    int failed = flowtell_detector_open(&options, &detector) != FLOWTELL_OK ||
                 flowtell_stream_open(detector, NULL, &stream) != FLOWTELL_OK;
    const double open_ms = (now_us() - begin_us) / 1000;
    const long open_kb = resident_kb();
    for (int i = 0; !failed && i < ROUNDS; ++i) {
        double start_us = now_us();
        failed = flowtell_stream_push(stream, &image, i / 25.0) != FLOWTELL_OK;
        pushes_us[i] = now_us() - start_us;
        start_us = now_us();
        for (size_t at = 0; at < FRAME_BYTES; at += 3) { /* the plainest form of what flowtell_to_rgb() does */
            copy[at] = pixels[at];
            copy[at + 1] = pixels[at + 1];
            copy[at + 2] = pixels[at + 2];
        }
        failed = failed || memcmp(copy, pixels, FRAME_BYTES) != 0;
        copies_us[i] = now_us() - start_us;
        start_us = now_us();
        failed = failed || flowtell_stream_next(stream, &clip) != FLOWTELL_NO_CLIP;
        empty_us[i] = now_us() - start_us;
    }
    if (failed) {
        fprintf(stderr, "measure: %s\n", flowtell_last_error());
        return 1;
    }
    printf("{\"open_ms\": %.1f, \"resident_mb\": %.1f, \"push_of_a_known_frame_us\": %.1f, "
           "\"copy_and_compare_us\": %.1f, \"next_without_a_clip_us\": %.3f}\n",
           open_ms, (double)open_kb * 1024 / 1e6, median(pushes_us, ROUNDS), median(copies_us, ROUNDS),
           median(empty_us, ROUNDS));
    flowtell_stream_close(stream);
    flowtell_detector_close(detector);
    return 0;
}
