/* judge_plan BUNDLE PRECISION: judges clips of 2, 1, 16 and 17 pairs, by the provider "tensorrt" and prints provider,
 * logits and the flow's last value. A failure is a line that begins with its
 * status. Every byte of frame t of a clip is 3t. */
#include <flowtell/flowtell.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(flowtell_status status) {
    printf("%d %s\n", (int)status, flowtell_last_error());
    return 1;
}

int main(int argc, char **argv) {
    flowtell_options options = {sizeof options, argv[1], "tensorrt", argc > 2 ? argv[2] : "fp32", NULL};
    flowtell_detector *detector = NULL;
    flowtell_status status = flowtell_detector_open(&options, &detector);
    if (status != FLOWTELL_OK) {
        return fail(status);
    }
    flowtell_detector_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    flowtell_detector_describe(detector, &info);
    printf("%s\n", info.provider);
    const int32_t side = info.crop_size;
    const size_t frame = (size_t)side * (size_t)side * 3;
    const int32_t counts[] = {2, 1, 16, 17};
    for (int i = 0; i < 4; ++i) {
        const int32_t pairs = counts[i];
        const size_t flow_values = (size_t)pairs * (size_t)(side / 4) * (size_t)(side / 4) * 2;
        uint8_t *clip = malloc(frame * (size_t)(pairs + 1));
        float *flow = malloc(flow_values * sizeof *flow), logits[17], clip_logit;
        for (int32_t t = 0; t <= pairs; ++t) {
            memset(clip + (size_t)t * frame, 3 * t, frame);
        }
        flowtell_scores scores = {sizeof scores, &clip_logit, logits, NULL, flow};
        status = flowtell_score_clips(detector, clip, frame * (size_t)(pairs + 1), 1, pairs + 1, &scores);
        if (status != FLOWTELL_OK) {
            fail(status);
        } else {
            printf("%d pairs: %g %g %g %g\n", (int)pairs, clip_logit, logits[0], logits[pairs - 1],
                   flow[flow_values - 1]);
        }
        free(flow);
        free(clip);
    }
    flowtell_detector_close(detector);
    return 0;
}
