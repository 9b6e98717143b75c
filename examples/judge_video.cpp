// Judges a video that OpenCV decodes.
//
//     judge_video BUNDLE VIDEO
//
// OpenCV and PyAV turn a compressed video's colours into RGB by different arithmetic, so that scores differ from those
// of examples/judge.py in their last digits; for a video that stores RGB, both print the same.
#include "print_result.hpp"

#include <opencv2/videoio.hpp>

#include <iostream>

namespace {

// Files without times, or with times that go back, are taken at their rate.
double time_of(cv::VideoCapture &video, double latest_s, long frame) {
    const double rate = video.get(cv::CAP_PROP_FPS);
    const double stated_s = video.get(cv::CAP_PROP_POS_MSEC) / 1000;
    if (frame == 0 || stated_s > latest_s) {
        return stated_s;
    }
    return latest_s + 1 / (rate > 0 ? rate : 25.0);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::cerr << "usage: judge_video BUNDLE VIDEO\n";
        return 2;
    }
    cv::VideoCapture video(argv[2]);
    if (!video.isOpened()) {
        std::cerr << "judge_video: OpenCV cannot open '" << argv[2] << "'\n";
        return 1;
    }
    try {
        flowtell::Stream stream(flowtell::Detector({argv[1]}));
        cv::Mat picture;
        double time_s = 0;
        for (long frame = 0; video.read(picture); ++frame) {
            time_s = time_of(video, time_s, frame);
            stream.push(
                flowtell::Image::bgr(picture.data, picture.cols, picture.rows, static_cast<int64_t>(picture.step)),
                time_s);
        }
        stream.finish();
        print_result(stream);
        return 0;
    } catch (const flowtell::Error &error) {
        std::cerr << "judge_video: " << error.what() << '\n';
        return 1;
    }
}
