/* Prints what a compiled program relies on: the size of every struct, and the place and size of every field. */
#include <flowtell/flowtell.h>

#include <stdio.h>

#define STRUCT(name) printf("struct %s: %zu bytes\n", #name, sizeof(name))
#define FIELD(name, field) printf("  %s at %zu: %zu\n", #field, offsetof(name, field), sizeof(((name *)0)->field))

static void print_inputs(void) {
    STRUCT(flowtell_image);
    FIELD(flowtell_image, struct_size);
    FIELD(flowtell_image, format);
    FIELD(flowtell_image, width);
    FIELD(flowtell_image, height);
    FIELD(flowtell_image, planes);
    FIELD(flowtell_image, stride_bytes);
    STRUCT(flowtell_options);
    FIELD(flowtell_options, struct_size);
    FIELD(flowtell_options, bundle);
    FIELD(flowtell_options, provider);
    FIELD(flowtell_options, precision);
    FIELD(flowtell_options, onnxruntime);
    STRUCT(flowtell_stream_options);
    FIELD(flowtell_stream_options, struct_size);
    FIELD(flowtell_stream_options, max_clips);
    STRUCT(flowtell_scores);
    FIELD(flowtell_scores, struct_size);
    FIELD(flowtell_scores, clip_logits);
    FIELD(flowtell_scores, pair_logits);
    FIELD(flowtell_scores, fake_probabilities);
    FIELD(flowtell_scores, flow);
}

static void print_outputs(void) {
    STRUCT(flowtell_detector_info);
    FIELD(flowtell_detector_info, struct_size);
    FIELD(flowtell_detector_info, crop_size);
    FIELD(flowtell_detector_info, pairs_per_clip);
    FIELD(flowtell_detector_info, threshold);
    FIELD(flowtell_detector_info, bundle_name);
    FIELD(flowtell_detector_info, bundle_sha256);
    FIELD(flowtell_detector_info, bundle_licence);
    FIELD(flowtell_detector_info, provider);
    FIELD(flowtell_detector_info, precision);
    FIELD(flowtell_detector_info, onnxruntime_version);
    STRUCT(flowtell_clip);
    FIELD(flowtell_clip, struct_size);
    FIELD(flowtell_clip, track);
    FIELD(flowtell_clip, start_s);
    FIELD(flowtell_clip, end_s);
    FIELD(flowtell_clip, box);
    FIELD(flowtell_clip, is_background);
    FIELD(flowtell_clip, pair_count);
    FIELD(flowtell_clip, logit);
    FIELD(flowtell_clip, fake_probability);
    FIELD(flowtell_clip, pair_logits);
    STRUCT(flowtell_result);
    FIELD(flowtell_result, struct_size);
    FIELD(flowtell_result, state);
    FIELD(flowtell_result, verdict);
    FIELD(flowtell_result, face_count);
    FIELD(flowtell_result, fake_probability);
    FIELD(flowtell_result, pairs_judged);
    FIELD(flowtell_result, pairs_total);
    FIELD(flowtell_result, state_name);
    FIELD(flowtell_result, reason);
    STRUCT(flowtell_face);
    FIELD(flowtell_face, struct_size);
    FIELD(flowtell_face, track);
    FIELD(flowtell_face, fake_probability);
    FIELD(flowtell_face, decides);
    FIELD(flowtell_face, clip_count);
}

int main(void) {
    printf("ABI version %d\n", FLOWTELL_ABI_VERSION);
    print_inputs();
    print_outputs();
    return 0;
}
