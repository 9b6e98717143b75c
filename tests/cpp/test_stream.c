/* Detectors and streams through the C interface, with a real ONNX Runtime: what is refused and why, and that what was
 * refused changes nothing. Numbers are compared with Python's by the conformance tests.
 *
 *     test_stream BUNDLE        exit code 77: there is no ONNX Runtime here */
#include "check.h"

#include <flowtell/flowtell.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAYS(words) (strstr(flowtell_last_error(), words) != NULL)

enum { SIDE = 64, FRAME_BYTES = SIDE * SIDE * 3 };

static uint8_t pixels[FRAME_BYTES];

static flowtell_image frame_of(uint8_t level) {
    flowtell_image image = {sizeof image, FLOWTELL_RGB, SIDE, SIDE, {pixels, NULL}, {SIDE * 3, 0}};
    memset(pixels, level, sizeof pixels);
    return image;
}

static void test_opening(const char *bundle) {
    flowtell_detector *detector = NULL;
    flowtell_options options = {sizeof options, bundle, "auto", NULL, NULL};
    CHECK(flowtell_detector_open(NULL, &detector) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(flowtell_detector_open(&options, NULL) == FLOWTELL_INVALID_ARGUMENT);
    options.struct_size = 8;
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_INVALID_ARGUMENT && SAYS("struct_size"));
    options.struct_size = sizeof options;
    options.bundle = NULL;
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_INVALID_ARGUMENT && SAYS("bundle"));
    options.bundle = "/nowhere";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_BUNDLE_ERROR && SAYS("no bundle at '/nowhere'"));
    options.bundle = bundle;
    options.precision = "half";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_INVALID_ARGUMENT && SAYS("not 'half'"));
    options.precision = "bf16";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_PROVIDER_ERROR && SAYS("computes in bf16"));
    options.precision = "int8";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_BUNDLE_ERROR);
    CHECK(SAYS("the bundle 'tiny' has no detector graph in int8, but in fp32: 'flowtell export' derives"));
    options.precision = NULL;
    options.onnxruntime = "/nowhere/libonnxruntime.so";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_PROVIDER_ERROR && SAYS("/nowhere/libonnxruntime.so"));
    options.onnxruntime = "libm.so.6";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_PROVIDER_ERROR && SAYS("is no ONNX Runtime"));
    options.onnxruntime = NULL;
    options.provider = "cuda";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_PROVIDER_ERROR);
    CHECK(SAYS("the provider 'cuda' is not built into the C library of flowtell"));
    options.provider = "abacus";
    CHECK(flowtell_detector_open(&options, &detector) == FLOWTELL_PROVIDER_ERROR);
    CHECK(SAYS("there is no provider 'abacus': choose one of auto, cpu"));
    CHECK(detector == NULL);
    flowtell_detector_close(NULL);
    flowtell_stream_close(NULL);
}

static void test_description(const flowtell_detector *detector) {
    struct {
        flowtell_detector_info known;
        uint8_t newer[8]; /* a caller of a later header has fields that this library does not know */
    } info;
    memset(&info, 7, sizeof info);
    info.known.struct_size = sizeof info;
    CHECK(flowtell_detector_describe(detector, &info.known) == FLOWTELL_OK);
    CHECK(info.known.struct_size == sizeof info && info.newer[0] == 7);
    CHECK(info.known.crop_size == 64 && info.known.pairs_per_clip == 16);
    CHECK(strcmp(info.known.bundle_name, "tiny") == 0 && strlen(info.known.bundle_sha256) == 64);
    CHECK(strcmp(info.known.provider, "CPUExecutionProvider") == 0 && strcmp(info.known.precision, "fp32") == 0);
    info.known.struct_size = sizeof info.known - 1;
    CHECK(flowtell_detector_describe(detector, &info.known) == FLOWTELL_INVALID_ARGUMENT && SAYS("detector_info"));
}

/* Each clip is judged alone: scores are the same whatever else is in the call. */
static void test_clips_of_the_host(const flowtell_detector *detector) {
    enum { CLIPS = 2, FRAMES = 6, PAIRS = FRAMES - 1, FLOW = PAIRS * 16 * 16 * 2 };
    static uint8_t clips[CLIPS * FRAMES * FRAME_BYTES];
    static float flow[CLIPS * FLOW], flow_alone[FLOW];
    float logits[CLIPS], pairs[CLIPS * PAIRS], logit_alone, pairs_alone[PAIRS];
    double probabilities[CLIPS];
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof clips; ++i) {
        noise = noise * 1664525u + 1013904223u;
        clips[i] = (uint8_t)(noise >> 24);
    }
    const flowtell_scores all = {sizeof all, logits, pairs, probabilities, flow};
    const flowtell_scores second = {sizeof second, &logit_alone, pairs_alone, NULL, flow_alone};
    CHECK(flowtell_score_clips(detector, clips, sizeof clips, CLIPS, FRAMES, &all) == FLOWTELL_OK);
    CHECK(flowtell_score_clips(detector, clips + sizeof clips / 2, sizeof clips / 2, 1, FRAMES, &second) ==
          FLOWTELL_OK);
    CHECK(logits[1] == logit_alone && memcmp(pairs + PAIRS, pairs_alone, sizeof pairs_alone) == 0);
    CHECK(memcmp(flow + FLOW, flow_alone, sizeof flow_alone) == 0);
    CHECK(fabs(probabilities[0] - 1 / (1 + exp(-(double)logits[0]))) < 1e-15);
    CHECK(flowtell_score_clips(detector, clips, sizeof clips - 1, CLIPS, FRAMES, &all) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(SAYS("clips must be uint8 [2, 6, 64, 64, 3]"));
    CHECK(flowtell_score_clips(detector, clips, sizeof clips, CLIPS, 1, &all) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(flowtell_score_clips(detector, clips, sizeof clips, 0, FRAMES, &all) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(flowtell_score_clips(detector, NULL, sizeof clips, CLIPS, FRAMES, &all) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(flowtell_score_clips(detector, clips, sizeof clips, INT32_MAX, INT32_MAX, &all) == FLOWTELL_INVALID_ARGUMENT);
}

static void test_states(flowtell_stream *stream) {
    flowtell_result result = {sizeof result, 0, 0, 0, 0.0, 0, 0, NULL, NULL};
    flowtell_face face = {sizeof face, 0, 0.0, 0, 0};
    flowtell_clip clip = {sizeof clip, 0, 0.0, 0.0, {0, 0, 0, 0}, 0, 0, 0.0, 0.0, NULL};
    const char *json = NULL;
    CHECK(flowtell_stream_result(stream, &result) == FLOWTELL_INVALID_ARGUMENT && SAYS("finish() first"));
    CHECK(flowtell_stream_json(stream, "x", &json) == FLOWTELL_INVALID_ARGUMENT && json == NULL);
    CHECK(flowtell_stream_finish(stream, "the camera is gone") == FLOWTELL_OK);
    CHECK(flowtell_stream_result(stream, &result) == FLOWTELL_OK && result.state == FLOWTELL_UNDECODABLE);
    CHECK(strcmp(result.reason, "the camera is gone") == 0 && isnan(result.fake_probability));
    const flowtell_image first = frame_of(0);
    CHECK(flowtell_stream_push(stream, &first, NAN) == FLOWTELL_INVALID_ARGUMENT); /* the finished video stays */
    CHECK(flowtell_stream_result(stream, &result) == FLOWTELL_OK && strcmp(result.reason, "the camera is gone") == 0);

    for (int i = 0; i < 6; ++i) { /* a second video in the same stream, with a frame that comes twice */
        const flowtell_image image = frame_of((uint8_t)(i == 5 ? 4 : i));
        CHECK(flowtell_stream_push(stream, &image, i / 25.0) == FLOWTELL_OK);
    }
    CHECK(flowtell_stream_next(stream, &clip) == FLOWTELL_NO_CLIP);
    CHECK(flowtell_stream_finish(stream, NULL) == FLOWTELL_OK && flowtell_stream_finish(stream, NULL) == FLOWTELL_OK);
    CHECK(flowtell_stream_result(stream, &result) == FLOWTELL_OK);
    CHECK(result.state == FLOWTELL_NO_FACE && result.verdict == FLOWTELL_UNDECIDED && result.face_count == 0);
    CHECK(strcmp(result.reason, "no face was found in its 5 frames") == 0);
    CHECK(flowtell_stream_face(stream, 0, &face) == FLOWTELL_INVALID_ARGUMENT && SAYS("no face 0"));
    CHECK(flowtell_stream_json(stream, "a \"b\"", &json) == FLOWTELL_OK && strstr(json, "\"a \\\"b\\\"\"") != NULL);
}

static void test_refused_frames_change_nothing(flowtell_stream *stream) {
    flowtell_image image = frame_of(9);
    CHECK(flowtell_stream_push(stream, &image, 1.0) == FLOWTELL_OK);
    CHECK(flowtell_stream_push(stream, NULL, 1.0) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(flowtell_stream_push(NULL, &image, 1.0) == FLOWTELL_INVALID_ARGUMENT);
    CHECK(flowtell_stream_push(stream, &image, 0.5) == FLOWTELL_INVALID_ARGUMENT &&
          SAYS("0.5 s cannot follow one at 1.0 s"));
    CHECK(flowtell_stream_push(stream, &image, NAN) == FLOWTELL_INVALID_ARGUMENT && SAYS("must be a finite number"));
    image.width = 8193;
    CHECK(flowtell_stream_push(stream, &image, 2.0) == FLOWTELL_INVALID_ARGUMENT && SAYS("at most 8192 px"));
    image.width = -1;
    CHECK(flowtell_stream_push(stream, &image, 2.0) == FLOWTELL_INVALID_ARGUMENT);
    image.width = SIDE;
    image.format = 99;
    CHECK(flowtell_stream_push(stream, &image, 2.0) == FLOWTELL_UNSUPPORTED_FORMAT);
    image.format = FLOWTELL_RGB;
    image.stride_bytes[0] = 5;
    CHECK(flowtell_stream_push(stream, &image, 2.0) == FLOWTELL_INVALID_ARGUMENT && SAYS("a row takes 192"));
    image.stride_bytes[0] = INT64_MAX / 2;
    CHECK(flowtell_stream_push(stream, &image, 2.0) == FLOWTELL_INVALID_ARGUMENT && SAYS("no memory is so large"));
    image.stride_bytes[0] = SIDE * 3;
    memset(pixels, 10, sizeof pixels);
    CHECK(flowtell_stream_push(stream, &image, 2.0) == FLOWTELL_OK);
    CHECK(flowtell_stream_finish(stream, NULL) == FLOWTELL_OK);
    flowtell_result result = {sizeof result, 0, 0, 0, 0.0, 0, 0, NULL, NULL};
    CHECK(flowtell_stream_result(stream, &result) == FLOWTELL_OK);
    CHECK(strcmp(result.reason, "it has 2 different frames and 5 are needed") == 0);
}

int main(int argc, char **argv) {
    flowtell_options options = {sizeof options, argc > 1 ? argv[1] : "", "cpu", "fp32", NULL};
    flowtell_detector *detector = NULL;
    flowtell_stream *stream = NULL;
    flowtell_stream_options budget = {sizeof budget, 257};
    if (flowtell_detector_open(&options, &detector) == FLOWTELL_PROVIDER_ERROR && SAYS("no ONNX Runtime was found")) {
        fprintf(stderr, "skipped: %s\n", flowtell_last_error());
        return 77;
    }
    CHECK(detector != NULL);
    if (detector == NULL) {
        return 1;
    }
    test_opening(options.bundle);
    test_description(detector);
    test_clips_of_the_host(detector);
    CHECK(flowtell_stream_open(detector, &budget, &stream) == FLOWTELL_INVALID_ARGUMENT &&
          SAYS("from 1 to 256, not 257"));
    CHECK(flowtell_stream_open(detector, NULL, &stream) == FLOWTELL_OK);
    flowtell_detector_close(detector); /* the stream keeps it */
    test_states(stream);
    test_refused_frames_change_nothing(stream);
    flowtell_stream_close(stream);
    return failures == 0 ? 0 : 1;
}
