// Turns frames, pushed one at a time, into face clips: T+1 consecutive crops of one face in one unmoving box.
#pragma once

#include "tracks.h"

#include <cstdint>
#include <vector>

namespace flowtell_core {

constexpr int32_t min_pairs = 4;    // a clip of fewer frame pairs is dropped
constexpr int32_t min_face_px = 64; // longer side of a face below which it is not judged

// Consecutive frames of one tracked face, all cropped with the same box.
struct FaceClip {
    int32_t track;
    double start_s, end_s;
    Box box;
    bool is_background; // whether, at its start, another face in the frame was more than twice as large
    int32_t pairs;
    std::vector<uint8_t> frames; // [pairs + 1, S, S, 3] RGB
};

struct FaceGraphs {
    const Session &faces;
    const Session &cuts;
    const Session &crop;
    int32_t crop_size, pairs_per_clip;
    double crop_margin;
};

// What is kept of a clip once it has been given back.
struct ClipFacts {
    int32_t track;
    bool is_background;
    int32_t pairs;
};

// What a video has shown so far.
struct ClipCounts {
    int64_t frames = 0;      // distinct ones
    int64_t pairs = 0;       // on which a face was followed, those of dropped clips included
    int64_t small_faces = 0; // seen under 64 px
    int64_t found_faces = 0; // seen that were not
    double faces_ms = 0.0, crop_ms = 0.0;
    std::vector<ClipFacts> made; // of every clip that was given back
};

// Takes the frames of one video in order and gives back the face clips as they complete.
class ClipMaker {
  public:
    explicit ClipMaker(const FaceGraphs &graphs) : graphs_(graphs) {}

    // Takes the next frame and its presentation time; `previous` is the frame pushed before, whose pixels are NULL for
    // the first. Appends the clips that it completed, in the order of their tracks. Throws Error where a graph fails.
    void push(const RgbView &frame, const RgbView &previous, double time_s, std::vector<FaceClip> &done);

    // Closes every clip that is still growing and ends every track: the video ended, or the shot.
    void finish(std::vector<FaceClip> &done);

    const ClipCounts &counts() const noexcept { return counts_; }

  private:
    static constexpr int32_t look_again_frames = min_pairs;

    void grow(const RgbView &frame, double time_s, std::vector<FaceClip> &done);
    bool is_look_due() const;
    void look(const RgbView &frame, double time_s, std::vector<FaceClip> &done);
    void begin(Track &track, const Face &face, const RgbView &frame, double time_s, double largest_px);
    void close_full(Track &track, const Face *face, std::vector<FaceClip> &done);
    void close_checked(Track &track, std::vector<FaceClip> &done);
    void close(Track &track, std::vector<FaceClip> &done);
    bool holds_face(const OpenClip &clip, size_t frame);
    std::vector<Face> find(const RgbView &image);
    CropSignature sign(const RgbView &frame, const Box &box);
    void cut(const RgbView &frame, OpenClip &clip, double time_s, const CropSignature &signature);
    size_t crop_bytes() const noexcept;

    FaceGraphs graphs_;
    std::vector<Track> tracks_;
    int32_t next_number_ = 0;
    int32_t frames_since_look_ = look_again_frames;
    ClipCounts counts_;
};

} // namespace flowtell_core
