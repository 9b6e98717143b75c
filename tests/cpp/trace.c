/* Judges frames from standard input through the C interface and prints every bit of what comes out.
 *
 *     trace BUNDLE MAX_CLIPS < frames */
#include "frame_stream.h"

static int print_clips(flowtell_stream *stream) {
    flowtell_status status = FLOWTELL_OK;
    while (status == FLOWTELL_OK) {
        flowtell_clip clip = {sizeof clip, 0, 0.0, 0.0, {0, 0, 0, 0}, 0, 0, 0.0, 0.0, NULL};
        status = flowtell_stream_next(stream, &clip);
        if (status == FLOWTELL_OK) {
            print_clip(&clip);
        }
    }
    return status != FLOWTELL_NO_CLIP;
}

static int trace(flowtell_stream *stream) {
    uint8_t *pixels = NULL;
    flowtell_image image;
    double time_s = 0.0;
    const char *json = NULL;
    int got = 1, failed = 0;
    while (!failed && (got = read_frame(stdin, &pixels, &image, &time_s)) == 1) {
        failed = flowtell_stream_push(stream, &image, time_s) != FLOWTELL_OK || print_clips(stream);
    }
    failed = failed || got < 0 || flowtell_stream_finish(stream, NULL) != FLOWTELL_OK || print_clips(stream) ||
             flowtell_stream_json(stream, "trace", &json) != FLOWTELL_OK;
    free(pixels);
    return failed || printf("%s\n", json) < 0;
}

int main(int argc, char **argv) {
    flowtell_options options = {sizeof options, argc == 3 ? argv[1] : NULL, "cpu", NULL, NULL};
    flowtell_stream_options budget = {sizeof budget, argc == 3 ? atoi(argv[2]) : 0};
    flowtell_detector *detector = NULL;
    flowtell_stream *stream = NULL;
    const int failed = flowtell_detector_open(&options, &detector) != FLOWTELL_OK ||
                       flowtell_stream_open(detector, &budget, &stream) != FLOWTELL_OK || trace(stream);
    if (failed) {
        fprintf(stderr, "trace: %s\n", flowtell_last_error());
    }
    flowtell_stream_close(stream);
    flowtell_detector_close(detector);
    return failed;
}
