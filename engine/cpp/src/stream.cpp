// The C interface of streams.
#include "filled_struct.h"
#include "status.h"
#include "video.h"

#include <atomic>
#include <cinttypes>
#include <limits>
#include <memory>
#include <string>

struct flowtell_stream {
    std::shared_ptr<const flowtell_core::Detector> detector;
    int32_t max_clips;
    std::unique_ptr<flowtell_core::Video> video;
    size_t given_out = 0; // clips that flowtell_stream_next() gave out
    std::string json;
    std::atomic<bool> is_busy{false};
    flowtell_status lost_status = FLOWTELL_OK; // what every call fails with once a graph failed
};

namespace {

using flowtell_core::error;

// Two threads in one stream would race; the second is told so instead.
class Turn {
  public:
    explicit Turn(flowtell_stream &stream) : stream_(stream) {
        if (stream.is_busy.exchange(true, std::memory_order_acquire)) {
            throw error(FLOWTELL_INVALID_ARGUMENT,
                        "another thread is in a call with this stream; use a stream from one thread at a time");
        }
    }
    Turn(const Turn &) = delete;
    Turn &operator=(const Turn &) = delete;
    ~Turn() { stream_.is_busy.store(false, std::memory_order_release); }

  private:
    flowtell_stream &stream_;
};

// Runs the body of a function that works on a stream, as its only thread.
template <typename Body> flowtell_status on_stream(flowtell_stream *stream, Body body) {
    return flowtell_core::guarded([&] {
        flowtell_core::require_argument(stream, "stream");
        const Turn turn(*stream);
        if (stream->lost_status != FLOWTELL_OK) {
            throw error(stream->lost_status,
                        "an earlier call on this stream failed and it has lost its place; close it");
        }
        const flowtell_status status = flowtell_core::guarded([&] { body(*stream); });
        if (stream->video->is_lost()) {
            stream->lost_status = status;
        }
        if (status != FLOWTELL_OK) {
            throw flowtell_core::Error(status, flowtell_last_error());
        }
    });
}

// Begins a new video with its first frame; the finished one stays where that is refused.
void begin_video(flowtell_stream &stream, const flowtell_image &image, double time_s) {
    auto video = std::make_unique<flowtell_core::Video>(stream.detector, stream.max_clips);
    const auto take = [&] {
        stream.video = std::move(video);
        stream.given_out = 0;
    };
    try {
        video->push(image, time_s);
    } catch (...) {
        if (video->is_lost()) {
            take();
        }
        throw;
    }
    take();
}

const flowtell_core::VideoResult &finished_result(const flowtell_stream &stream) {
    if (!stream.video->result()) {
        throw error(FLOWTELL_INVALID_ARGUMENT, "the video has no result yet; call flowtell_stream_finish() first");
    }
    return *stream.video->result();
}

} // namespace

flowtell_status flowtell_stream_open(const flowtell_detector *detector, const flowtell_stream_options *options,
                                     flowtell_stream **stream) {
    return flowtell_core::guarded([&] {
        flowtell_core::require_argument(detector, "detector");
        flowtell_core::require_argument(stream, "place for the stream");
        int32_t max_clips = 0;
        if (options != nullptr) {
            flowtell_core::require_struct_size(options->struct_size, sizeof(flowtell_stream_options), "stream_options");
            max_clips = options->max_clips;
        }
        if (max_clips < 0 || max_clips > flowtell_core::max_clips_limit) {
            throw error(FLOWTELL_INVALID_ARGUMENT,
                        "the number of clips must be an integer from 1 to %" PRId32 ", not %" PRId32
                        "; give 0 to judge every clip",
                        flowtell_core::max_clips_limit, max_clips);
        }
        auto opened = std::make_unique<flowtell_stream>();
        opened->detector = detector->shared;
        opened->max_clips = max_clips;
        opened->video = std::make_unique<flowtell_core::Video>(opened->detector, max_clips);
        *stream = opened.release();
    });
}

void flowtell_stream_close(flowtell_stream *stream) { delete stream; }

flowtell_status flowtell_stream_push(flowtell_stream *stream, const flowtell_image *image, double time_s) {
    return on_stream(stream, [&](flowtell_stream &own) {
        flowtell_core::require_argument(image, "image");
        if (own.video->result()) {
            begin_video(own, *image, time_s);
        } else {
            own.video->push(*image, time_s);
        }
    });
}

flowtell_status flowtell_stream_next(flowtell_stream *stream, flowtell_clip *clip) {
    bool waits = true;
    const flowtell_status status = on_stream(stream, [&](flowtell_stream &own) {
        flowtell_core::require_argument(clip, "clip");
        flowtell_core::require_struct_size(clip->struct_size, sizeof(flowtell_clip), "clip");
        waits = own.given_out < own.video->judged().size();
        if (!waits) {
            return;
        }
        const flowtell_core::JudgedClip &judged = own.video->judged()[own.given_out];
        flowtell_clip filled = {};
        filled.track = judged.track;
        filled.start_s = judged.start_s;
        filled.end_s = judged.end_s;
        filled.box[0] = judged.box.x;
        filled.box[1] = judged.box.y;
        filled.box[2] = judged.box.w;
        filled.box[3] = judged.box.h;
        filled.is_background = judged.is_background ? 1 : 0;
        filled.pair_count = static_cast<int32_t>(judged.pair_logits.size());
        filled.logit = judged.logit;
        filled.fake_probability = flowtell_core::sigmoid(judged.logit);
        filled.pair_logits = judged.pair_logits.data();
        flowtell_core::fill_struct(filled, clip, "clip");
        ++own.given_out;
    });
    return status == FLOWTELL_OK && !waits ? FLOWTELL_NO_CLIP : status;
}

flowtell_status flowtell_stream_finish(flowtell_stream *stream, const char *failure) {
    return on_stream(stream, [&](flowtell_stream &own) {
        if (!own.video->result()) {
            own.video->finish(failure == nullptr ? "" : *failure == '\0' ? "it could not be read on" : failure);
        }
    });
}

flowtell_status flowtell_stream_result(flowtell_stream *stream, flowtell_result *result) {
    return on_stream(stream, [&](flowtell_stream &own) {
        const flowtell_core::VideoResult &found = finished_result(own);
        flowtell_result filled = {};
        filled.state = found.state.code;
        filled.verdict = found.verdict;
        filled.face_count = static_cast<int32_t>(found.faces.size());
        filled.fake_probability = found.fake_probability.value_or(std::numeric_limits<double>::quiet_NaN());
        filled.pairs_judged = found.pairs_judged;
        filled.pairs_total = own.video->pairs_total();
        filled.state_name = flowtell_core::state_name(found.state.code);
        filled.reason = found.state.code == FLOWTELL_JUDGED ? nullptr : found.state.reason.c_str();
        flowtell_core::fill_struct(filled, result, "result");
    });
}

flowtell_status flowtell_stream_face(flowtell_stream *stream, int32_t index, flowtell_face *face) {
    return on_stream(stream, [&](flowtell_stream &own) {
        const flowtell_core::VideoResult &found = finished_result(own);
        if (index < 0 || static_cast<size_t>(index) >= found.faces.size()) {
            throw error(FLOWTELL_INVALID_ARGUMENT, "there is no face %" PRId32 "; the video has %zu", index,
                        found.faces.size());
        }
        const flowtell_core::FaceVerdict &verdict = found.faces[static_cast<size_t>(index)];
        flowtell_face filled = {};
        filled.track = verdict.track;
        filled.fake_probability = verdict.fake_probability;
        filled.decides = verdict.decides ? 1 : 0;
        filled.clip_count = static_cast<int32_t>(verdict.clips.size());
        flowtell_core::fill_struct(filled, face, "face");
    });
}

flowtell_status flowtell_stream_json(flowtell_stream *stream, const char *file, const char **json) {
    return on_stream(stream, [&](flowtell_stream &own) {
        flowtell_core::require_argument(file, "file's name");
        flowtell_core::require_argument(json, "place for the JSON");
        finished_result(own);
        own.json = own.video->json(file);
        *json = own.json.c_str();
    });
}
