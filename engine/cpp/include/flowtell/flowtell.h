/*
 * flowtell: the C interface of libflowtell, which tells from its motion whether a face in a video was manipulated.
 *
 * A complete program, which judges raw RGB frames of 480 x 480 px, 25 a second, from its standard input:
 *
 *     #include <flowtell/flowtell.h>
 *     #include <stdio.h>
 *     int main(int argc, char **argv) {
 *         static uint8_t rgb[480 * 480 * 3];
 *         flowtell_options options = {sizeof options, argc > 1 ? argv[1] : NULL, "auto", "fp32", NULL};
 *         flowtell_image image = {sizeof image, FLOWTELL_RGB, 480, 480, {rgb, NULL}, {480 * 3, 0}};
 *         flowtell_detector *detector = NULL;
 *         flowtell_stream *stream = NULL;
 *         const char *json = NULL;
 *         int failed = flowtell_detector_open(&options, &detector) || flowtell_stream_open(detector, NULL, &stream);
 *         for (int n = 0; !failed && fread(rgb, sizeof rgb, 1, stdin) == 1; ++n)
 *             failed = flowtell_stream_push(stream, &image, n / 25.0);
 *         failed = failed || flowtell_stream_finish(stream, NULL) || flowtell_stream_json(stream, "stdin", &json);
 *         return fprintf(failed ? stderr : stdout, "%s\n", failed ? flowtell_last_error() : json), failed;
 *     }
 *
 * Built with `find_package(flowtell REQUIRED)` and `target_link_libraries(program PRIVATE flowtell::flowtell)`.
 *
 * Rules that hold for every function:
 *   - Nothing is thrown, printed or ended: a function that can fail returns a flowtell_status, and then
 *     flowtell_last_error() has a sentence for a person. Unless it says otherwise, it has then written nothing.
 *   - Pointers that come in are read during the call only and stay the caller's. Strings and arrays that come out are
 *     the library's and never freed by the caller; each function says how long they last.
 *   - Text is UTF-8 and ends with a zero byte.
 *   - Every struct begins with `struct_size`, its size as the caller compiled it, and grows at its end only. The caller
 *     sets it, also where the library fills the struct in.
 *   - A flowtell_detector never changes and may be used by any number of threads at once. A flowtell_stream belongs to
 *     one thread at a time; streams of one detector work side by side. Everything else may be called at any time.
 *   - No thread is started: a call works in the thread that makes it. To use more cores, use more streams or threads.
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
    FLOWTELL_INVALID_ARGUMENT = 1,   /* a null pointer, a size or stride that cannot be, or a call out of turn */
    FLOWTELL_UNSUPPORTED_FORMAT = 2, /* a pixel format that this version does not know */
    FLOWTELL_BUFFER_TOO_SMALL = 3,   /* the result does not fit into the buffer */
    FLOWTELL_BUNDLE_ERROR = 4,       /* a bundle is missing, altered, malformed, or of another format */
    FLOWTELL_PROVIDER_ERROR = 5,     /* no inference runtime can do what was asked, or it failed while it ran */
    FLOWTELL_NO_CLIP = 6,            /* no judged clip waits; no failure: flowtell_last_error() stays as it was */
    FLOWTELL_OUT_OF_MEMORY = 7,
    FLOWTELL_INTERNAL_ERROR = 8 /* a fault in flowtell */
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

/* What a detector is opened with. Zeroes, but for `struct_size` and `bundle`, mean the usual. */
typedef struct flowtell_options {
    uint32_t struct_size;  /* sizeof(flowtell_options) */
    const char *bundle;    /* the bundle's folder */
    const char *provider;  /* "auto", "cpu", or NULL for "auto"; "tensorrt" where the library was built with it (see
                            * docs/c-library.md); one asked for by name is used or it is an error */
    const char *precision; /* of the detector graph: "fp32", "fp16" or "int8", where the bundle has it; NULL: "fp32";
                            * "bf16" is FLOWTELL_PROVIDER_ERROR: this library runs no provider that computes in it */
    const char *onnxruntime; /* path of ONNX Runtime's shared library, 1.21 or newer; NULL: what the environment
                              * variable FLOWTELL_ONNXRUNTIME names, or else the system's search for libonnxruntime */
} flowtell_options;

/* A bundle, opened. Never changes. */
typedef struct flowtell_detector flowtell_detector;

/* Open a bundle for judging. Each file that is used is hashed, and used from the very bytes that were hashed; see
 * docs/bundle-format.md. On success `*detector` is the caller's, to be closed by flowtell_detector_close().
 *
 * Any thread; but the first of a process sets the environment variable ORT_DISABLE_TELEMETRY where it is not set, so
 * that ONNX Runtime reports nothing. Where other threads may be reading the environment, set it before they start.
 *
 * Returns FLOWTELL_INVALID_ARGUMENT; FLOWTELL_BUNDLE_ERROR where the bundle is missing, altered, malformed
 * or has no detector; FLOWTELL_PROVIDER_ERROR where ONNX Runtime or the provider cannot be used;
 * FLOWTELL_OUT_OF_MEMORY.
 */
FLOWTELL_API flowtell_status flowtell_detector_open(const flowtell_options *options, flowtell_detector **detector);

/* Give a detector back; NULL is allowed. Streams that were opened with it go on working. No other thread may be using
 * `detector` itself. */
FLOWTELL_API void flowtell_detector_close(flowtell_detector *detector);

/* What a detector is. Strings last as long as the detector. */
typedef struct flowtell_detector_info {
    uint32_t struct_size;            /* sizeof(flowtell_detector_info) */
    int32_t crop_size;               /* S, side of a crop in px */
    int32_t pairs_per_clip;          /* T, consecutive frame pairs in a full face clip */
    double threshold;                /* a verdict is FLOWTELL_FAKE above this fake probability */
    const char *bundle_name;         /* as its manifest has it */
    const char *bundle_sha256;       /* of the manifest's bytes, 64 hexadecimal digits */
    const char *bundle_licence;      /* one line */
    const char *provider;            /* what runs it, as ONNX Runtime names it */
    const char *precision;           /* of the detector graph */
    const char *onnxruntime_version; /* such as "1.22.0" */
} flowtell_detector_info;

/* Describe a detector. `info` is filled in up to its struct_size. Any thread. Returns FLOWTELL_INVALID_ARGUMENT. */
FLOWTELL_API flowtell_status flowtell_detector_describe(const flowtell_detector *detector,
                                                        flowtell_detector_info *info);

/* Where flowtell_score_clips() writes; B clips of T pairs each. All but `clip_logits` may be NULL. */
typedef struct flowtell_scores {
    uint32_t struct_size;       /* sizeof(flowtell_scores) */
    float *clip_logits;         /* [B] */
    float *pair_logits;         /* [B, T] */
    double *fake_probabilities; /* [B], sigmoid of the clip logits, 0 to 1 */
    float *flow; /* [B, T, S/4, S/4, 2]: u to the right, v down, in px of the crop, from frame t to t+1 */
} flowtell_scores;

/* Judge face clips that were cut elsewhere, one after the other, in the calling thread.
 *
 * `clips` is uint8 [clip_count, frames_per_clip, S, S, 3] RGB, packed, of `clips_bytes` in all; at least one clip of at
 * least two frames. T is frames_per_clip - 1. The caller's arrays in `scores` have room for what they are to hold;
 * where a clip fails, those before it are written.
 *
 * Any thread. Returns FLOWTELL_INVALID_ARGUMENT; FLOWTELL_PROVIDER_ERROR or FLOWTELL_BUNDLE_ERROR where the graph fails
 * while it runs; FLOWTELL_OUT_OF_MEMORY. */
FLOWTELL_API flowtell_status flowtell_score_clips(const flowtell_detector *detector, const uint8_t *clips,
                                                  size_t clips_bytes, int32_t clip_count, int32_t frames_per_clip,
                                                  const flowtell_scores *scores);

/* How a stream judges. */
typedef struct flowtell_stream_options {
    uint32_t struct_size; /* sizeof(flowtell_stream_options) */
    int32_t max_clips;    /* 0: judge every face clip as soon as it is complete. 1 to 256: keep so many, evenly spread
                           * over the video and those of faces in the background last, and judge them at its end */
} flowtell_stream_options;

/* The frames of one video after the other, and what is found in them. One thread at a time. */
typedef struct flowtell_stream flowtell_stream;

/* Open a stream; `options` may be NULL for zeroes. On success `*stream` is the caller's, to be closed by
 * flowtell_stream_close().
 *
 * Any thread. Returns FLOWTELL_INVALID_ARGUMENT or FLOWTELL_OUT_OF_MEMORY. */
FLOWTELL_API flowtell_status flowtell_stream_open(const flowtell_detector *detector,
                                                  const flowtell_stream_options *options, flowtell_stream **stream);

/* Give a stream back, and all strings and arrays that came from it; NULL is allowed. */
FLOWTELL_API void flowtell_stream_close(flowtell_stream *stream);

/* Take the next frame, upright, and its presentation time in seconds, which is finite and not before the frame's
 * before. A frame has at most 8192 px a side and 8192 * 4320 px in all. One that is equal to the frame before it is
 * skipped. What became complete by it is judged before the call returns: most calls are quick, one in T takes as long
 * as judging a clip of each face. The first push after flowtell_stream_finish() begins a new video.
 *
 * Returns FLOWTELL_INVALID_ARGUMENT or FLOWTELL_UNSUPPORTED_FORMAT, and then the frame was not taken, a finished video
 * is as it was and the next frame may follow; FLOWTELL_PROVIDER_ERROR or FLOWTELL_BUNDLE_ERROR where a graph fails, and
 * then the stream has lost its place: every later call fails with that status, but for flowtell_stream_close().
 * FLOWTELL_OUT_OF_MEMORY is one or the other: where there was no memory for the frame itself, the next may follow. */
FLOWTELL_API flowtell_status flowtell_stream_push(flowtell_stream *stream, const flowtell_image *image, double time_s);

/* A judged face clip: consecutive frames of one face, all cropped with one box. */
typedef struct flowtell_clip {
    uint32_t struct_size;     /* sizeof(flowtell_clip) */
    int32_t track;            /* number of the face in its video, from 0 */
    double start_s;           /* presentation time of the first frame */
    double end_s;             /* presentation time of the last frame */
    int32_t box[4];           /* x, y, width, height in px of the frame, even; may reach outside it */
    int32_t is_background;    /* 1 where, at its start, another face in the frame was more than twice as large */
    int32_t pair_count;       /* n, consecutive frame pairs, 4 to T */
    double logit;             /* of the clip */
    double fake_probability;  /* sigmoid of the logit, 0 to 1 */
    const float *pair_logits; /* [n]; until the next flowtell_stream_push() after flowtell_stream_finish(), or close */
} flowtell_clip;

/* Give out the next judged clip, in the order in which they were judged. `clip` is filled in up to its struct_size.
 * Returns FLOWTELL_NO_CLIP where none waits, FLOWTELL_INVALID_ARGUMENT, or the status that ended the stream. */
FLOWTELL_API flowtell_status flowtell_stream_next(flowtell_stream *stream, flowtell_clip *clip);

/* End the video: close and judge the clips that are still growing. Afterwards flowtell_stream_next() gives out the last
 * clips, and the result can be read until the next push. `failure` is NULL where the video ended, or else one sentence,
 * maybe empty, that says why it could not be read on: the state is then FLOWTELL_TRUNCATED, or FLOWTELL_UNDECODABLE without a frame.
 * A second call does nothing. Errors as for flowtell_stream_push(). */
FLOWTELL_API flowtell_status flowtell_stream_finish(flowtell_stream *stream, const char *failure);

/* What could be said about a video. */
enum {
    FLOWTELL_JUDGED = 0,         /* "ok" */
    FLOWTELL_NO_FACE = 1,        /* "no_face" */
    FLOWTELL_FACE_TOO_SMALL = 2, /* "face_too_small": under 64 px */
    FLOWTELL_TOO_SHORT = 3,      /* "too_short": under 4 frame pairs with a face in view */
    FLOWTELL_UNDECODABLE = 4,    /* "undecodable": the host said so */
    FLOWTELL_TRUNCATED = 5,      /* "truncated": the host said so; what came was judged */
    FLOWTELL_THIN_EVIDENCE = 6   /* "thin_evidence": too few pairs or too small a face for this bundle to judge by */
};

enum { FLOWTELL_UNDECIDED = 0, FLOWTELL_ORIGINAL = 1, FLOWTELL_FAKE = 2 };

/* The judgement of a video. Strings last until the next push or close. */
typedef struct flowtell_result {
    uint32_t struct_size;    /* sizeof(flowtell_result) */
    int32_t state;           /* FLOWTELL_JUDGED ... FLOWTELL_THIN_EVIDENCE */
    int32_t verdict;         /* FLOWTELL_UNDECIDED, FLOWTELL_ORIGINAL or FLOWTELL_FAKE */
    int32_t face_count;      /* faces with a judged clip */
    double fake_probability; /* the highest of the faces that decide, 0 to 1; NaN where the verdict is undecided */
    int64_t pairs_judged;    /* consecutive frame pairs that the detector saw, summed over faces */
    int64_t pairs_total;     /* those on which a face was followed */
    const char *state_name;  /* as the JSON has it */
    const char *reason;      /* the state in one sentence; NULL where the state is FLOWTELL_JUDGED */
} flowtell_result;

/* Read the result of a finished video; filled in up to `struct_size`.
 * Returns FLOWTELL_INVALID_ARGUMENT, also before flowtell_stream_finish(), or the status that ended the stream. */
FLOWTELL_API flowtell_status flowtell_stream_result(flowtell_stream *stream, flowtell_result *result);

/* One face of a result. */
typedef struct flowtell_face {
    uint32_t struct_size;    /* sizeof(flowtell_face) */
    int32_t track;           /* its number in the video, from 0, in order of appearance */
    double fake_probability; /* mean of its clips' probabilities */
    int32_t decides;         /* 1 where it counts for the video */
    int32_t clip_count;      /* clips of it that were judged */
} flowtell_face;

/* Read face `index` of a finished video, 0 to face_count - 1, in order of tracks; filled in up to `struct_size`.
 * Returns FLOWTELL_INVALID_ARGUMENT, also before flowtell_stream_finish(), or the status that ended the stream. */
FLOWTELL_API flowtell_status flowtell_stream_face(flowtell_stream *stream, int32_t index, flowtell_face *face);

/* Write the result of a finished video as one line of JSON, engine/flowtell/schemas/result.schema.json; `file` is what
 * its "file" says. `*json` lasts until the next call of this function, push or close. The text is the one that Python's
 * Result.to_json() gives, but for timing_ms: its `decode` is 0, since the host decodes.
 * Returns FLOWTELL_INVALID_ARGUMENT, also before flowtell_stream_finish(), FLOWTELL_OUT_OF_MEMORY, or the status that
 * ended the stream. */
FLOWTELL_API flowtell_status flowtell_stream_json(flowtell_stream *stream, const char *file, const char **json);

#ifdef __cplusplus
}
#endif

#endif
