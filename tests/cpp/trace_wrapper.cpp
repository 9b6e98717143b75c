// The same as trace.c through flowtell.hpp.
//
//     trace_wrapper BUNDLE MAX_CLIPS < frames
#include "frame_stream.h"

#include <flowtell/flowtell.hpp>

#include <iostream>

namespace {

void print_clips(flowtell::Stream &stream) {
    while (const std::optional<flowtell::Clip> clip = stream.next()) {
        const flowtell_clip plain = {sizeof plain,
                                     clip->track,
                                     clip->start_s,
                                     clip->end_s,
                                     {clip->box[0], clip->box[1], clip->box[2], clip->box[3]},
                                     clip->is_background ? 1 : 0,
                                     static_cast<int32_t>(clip->pair_logits.size()),
                                     clip->logit,
                                     clip->fake_probability,
                                     clip->pair_logits.data()};
        print_clip(&plain);
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::cerr << "usage: trace_wrapper BUNDLE MAX_CLIPS < frames\n";
        return 2;
    }
    try {
        flowtell::Stream stream(flowtell::Detector({argv[1], "cpu"}), std::atoi(argv[2]));
        uint8_t *pixels = nullptr;
        flowtell_image image;
        double time_s = 0.0;
        int got = 1;
        while ((got = read_frame(stdin, &pixels, &image, &time_s)) == 1) {
            stream.push(image, time_s);
            print_clips(stream);
        }
        std::free(pixels);
        stream.finish();
        print_clips(stream);
        std::cout.flush();
        std::printf("%s\n", stream.json("trace").c_str());
        return got == 0 ? 0 : 1;
    } catch (const flowtell::Error &error) {
        std::cerr << "trace_wrapper: " << error.what() << '\n';
        return 1;
    }
}
