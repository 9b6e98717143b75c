/* Judges raw RGB frames: what a camera or a pipe gives, without any decoder.
 *
 *     judge_raw BUNDLE WIDTH HEIGHT FRAMES_PER_SECOND < frames.rgb
 *
 * Prints what examples/judge.py prints for a video of the same frames. ONNX Runtime is found as flowtell.h says. */
#include <flowtell/flowtell.h>

#include <stdio.h>
#include <stdlib.h>

static int print_result(flowtell_stream *stream) {
    flowtell_result result = {sizeof result, 0, 0, 0, 0.0, 0, 0, NULL, NULL};
    static const char *const verdicts[] = {"undecided", "original", "fake"};
    if (flowtell_stream_result(stream, &result) != FLOWTELL_OK) {
        return 1;
    }
    if (result.verdict == FLOWTELL_UNDECIDED) {
        printf("undecided: %s\n", result.reason);
    } else {
        printf("%s %.6f\n", verdicts[result.verdict], result.fake_probability);
    }
    for (int32_t i = 0; i < result.face_count; ++i) {
        flowtell_face face = {sizeof face, 0, 0.0, 0, 0};
        if (flowtell_stream_face(stream, i, &face) != FLOWTELL_OK) {
            return 1;
        }
        printf("face %d: %.6f from %d clips\n", face.track, face.fake_probability, face.clip_count);
    }
    return 0;
}

static int judge(flowtell_stream *stream, uint8_t *pixels, int32_t width, int32_t height, double rate) {
    const size_t frame_bytes = (size_t)width * (size_t)height * 3;
    flowtell_image image = {sizeof image, FLOWTELL_RGB, width, height, {pixels, NULL}, {3 * (int64_t)width, 0}};
    int failed = 0;
    for (long n = 0; !failed && fread(pixels, 1, frame_bytes, stdin) == frame_bytes; ++n) {
        failed = flowtell_stream_push(stream, &image, (double)n / rate) != FLOWTELL_OK;
        flowtell_clip clip = {sizeof clip, 0, 0.0, 0.0, {0, 0, 0, 0}, 0, 0, 0.0, 0.0, NULL};
        while (!failed && flowtell_stream_next(stream, &clip) == FLOWTELL_OK) {
            fprintf(stderr, "face %d, %.2f to %.2f s: %.3f\n", clip.track, clip.start_s, clip.end_s,
                    clip.fake_probability);
        }
    }
    return failed || flowtell_stream_finish(stream, NULL) != FLOWTELL_OK || print_result(stream);
}

int main(int argc, char **argv) {
    flowtell_options options = {sizeof options, argc > 1 ? argv[1] : NULL, "auto", "fp32", NULL};
    flowtell_detector *detector = NULL;
    flowtell_stream *stream = NULL;
    const int32_t width = argc == 5 ? atoi(argv[2]) : 0, height = argc == 5 ? atoi(argv[3]) : 0;
    const double rate = argc == 5 ? atof(argv[4]) : 0.0;
    if (width < 1 || height < 1 || rate <= 0.0) {
        fprintf(stderr, "usage: judge_raw BUNDLE WIDTH HEIGHT FRAMES_PER_SECOND < frames.rgb\n");
        return 2;
    }
    uint8_t *pixels = malloc((size_t)width * (size_t)height * 3);
    if (pixels == NULL) {
        fprintf(stderr, "judge_raw: there is not enough memory for such frames\n");
        return 1;
    }
    int failed = flowtell_detector_open(&options, &detector) != FLOWTELL_OK ||
                 flowtell_stream_open(detector, NULL, &stream) != FLOWTELL_OK ||
                 judge(stream, pixels, width, height, rate);
    if (failed) {
        fprintf(stderr, "judge_raw: %s\n", flowtell_last_error());
    }
    flowtell_stream_close(stream);
    flowtell_detector_close(detector);
    free(pixels);
    return failed;
}
