#include "clips.h"

#include <algorithm>
#include <cstring>

namespace {

using flowtell_core::RgbView;

// The reasons stand in engine/flowtell/_clips.py.
constexpr size_t max_tracks = 16;
constexpr double lost_after_s = 1.0;
constexpr double held_share = 0.85;
constexpr double kept_area = 0.8;
constexpr double background_ratio = 2.0;

bool is_same_size(const RgbView &a, const RgbView &b) { return a.width == b.width && a.height == b.height; }

} // namespace

namespace flowtell_core {

void ClipMaker::push(const RgbView &frame, const RgbView &previous, double time_s, std::vector<FaceClip> &done) {
    if (previous.pixels != nullptr) {
        const bool same_size = is_same_size(frame, previous);
        if (same_size && std::memcmp(frame.pixels, previous.pixels, frame.bytes()) == 0) {
            return;
        }
        if (!same_size) {
            finish(done);
        }
    }
    ++counts_.frames;
    ++frames_since_look_;
    grow(frame, time_s, done);
    if (is_look_due()) {
        look(frame, time_s, done);
    }
}

void ClipMaker::finish(std::vector<FaceClip> &done) {
    for (Track &track : tracks_) {
        close_checked(track, done);
    }
    tracks_.clear();
    frames_since_look_ = look_again_frames;
}

// Adds the frame to every open clip; a shot cut closes them all before it and ends every track. A cut changes the
// whole picture, though it may be seen in the crop of one face alone.
void ClipMaker::grow(const RgbView &frame, double time_s, std::vector<FaceClip> &done) {
    std::vector<std::pair<OpenClip *, CropSignature>> grown;
    for (Track &track : tracks_) {
        if (!track.clip) {
            continue;
        }
        const CropSignature signature = sign(frame, track.clip->box);
        if (track.cuts.is_cut(track.clip->signature, signature)) {
            finish(done);
            return;
        }
        grown.emplace_back(&*track.clip, signature);
    }
    for (const auto &[clip, signature] : grown) {
        cut(frame, *clip, time_s, signature);
    }
}

bool ClipMaker::is_look_due() const {
    bool any_missing = tracks_.empty();
    for (const Track &track : tracks_) {
        if (track.clip && track.clip->pairs() == graphs_.pairs_per_clip) {
            return true;
        }
        any_missing = any_missing || !track.clip;
    }
    return any_missing && frames_since_look_ >= look_again_frames;
}

// Searches the frame: checks the clips that end here, begins the next ones, meets new faces.
void ClipMaker::look(const RgbView &frame, double time_s, std::vector<FaceClip> &done) {
    frames_since_look_ = 0;
    std::vector<Face> faces;
    double largest_px = 0.0;
    for (const Face &face : find(frame)) {
        if (face.size_px() >= min_face_px) {
            faces.push_back(face);
            largest_px = std::max(largest_px, face.size_px());
            ++counts_.found_faces;
        } else {
            ++counts_.small_faces;
        }
    }
    const std::map<size_t, size_t> matches = match_faces(tracks_, faces, time_s, graphs_.crop_margin);
    std::vector<bool> is_matched(faces.size(), false);
    for (size_t t = 0; t < tracks_.size(); ++t) {
        Track &track = tracks_[t];
        const auto match = matches.find(t);
        const Face *face = match == matches.end() ? nullptr : &faces[match->second];
        if (face != nullptr) {
            is_matched[match->second] = true;
            track.see(*face, time_s);
        }
        if (track.clip && track.clip->pairs() < graphs_.pairs_per_clip) {
            continue;
        }
        if (track.clip) {
            close_full(track, face, done);
        }
        if (face != nullptr) {
            begin(track, *face, frame, time_s, largest_px);
        }
    }
    const auto is_lost = [&](const Track &track) { return !track.clip && !(time_s - track.seen_s <= lost_after_s); };
    tracks_.erase(std::remove_if(tracks_.begin(), tracks_.end(), is_lost), tracks_.end());

    std::vector<Face> met;
    for (size_t f = 0; f < faces.size(); ++f) {
        if (!is_matched[f]) {
            met.push_back(faces[f]);
        }
    }
    std::stable_sort(met.begin(), met.end(), [](const Face &a, const Face &b) { return a.size_px() > b.size_px(); });
    for (const Face &face : met) {
        if (tracks_.size() >= max_tracks) {
            break;
        }
        tracks_.push_back({next_number_++, face, time_s});
        begin(tracks_.back(), face, frame, time_s, largest_px);
    }
}

void ClipMaker::begin(Track &track, const Face &face, const RgbView &frame, double time_s, double largest_px) {
    OpenClip clip = {
        square_box(face, graphs_.crop_margin), face, largest_px > background_ratio * face.size_px(), {}, {}, {}};
    clip.frames.reserve((static_cast<size_t>(graphs_.pairs_per_clip) + 1) * crop_bytes());
    cut(frame, clip, time_s, sign(frame, clip.box));
    track.clip = std::move(clip);
}

// Closes a clip of T pairs at a look that found its face at `face`, or did not find it.
void ClipMaker::close_full(Track &track, const Face *face, std::vector<FaceClip> &done) {
    if (face == nullptr) {
        // small in a large frame it may have been missed; the crops show it larger
        close_checked(track, done);
    } else if (face->share_inside(track.clip->box) >= held_share) {
        close(track, done);
    } else {
        track.clip->keep(static_cast<size_t>(track.clip->pairs()), crop_bytes());
        close_checked(track, done);
    }
}

// Closes the track's clip after its last frame in which the face is still in the box. The frames themselves are gone,
// so the face is looked for in the crops.
void ClipMaker::close_checked(Track &track, std::vector<FaceClip> &done) {
    if (track.clip) {
        int32_t last = track.clip->pairs();
        while (last >= min_pairs && !holds_face(*track.clip, static_cast<size_t>(last))) {
            --last;
        }
        track.clip->keep(static_cast<size_t>(last) + 1, crop_bytes());
    }
    close(track, done);
}

bool ClipMaker::holds_face(const OpenClip &clip, size_t frame) {
    const double scale = static_cast<double>(clip.box.w) / graphs_.crop_size;
    const RgbView crop = {clip.frames.data() + frame * crop_bytes(), graphs_.crop_size, graphs_.crop_size};
    for (const Face &seen : find(crop)) {
        const Face face = {clip.box.x + seen.x * scale, clip.box.y + seen.y * scale, seen.w * scale, seen.h * scale,
                           seen.score};
        const double share = face.share_inside(clip.box);
        const double shown = share * face.area_px2() / clip.face.area_px2();
        if (share >= held_share && shown >= kept_area && is_same_face(face, clip.face, graphs_.crop_margin)) {
            return true;
        }
    }
    return false;
}

void ClipMaker::close(Track &track, std::vector<FaceClip> &done) {
    if (!track.clip) {
        return;
    }
    OpenClip clip = std::move(*track.clip);
    track.clip.reset();
    counts_.pairs += clip.pairs();
    if (clip.pairs() >= min_pairs) {
        counts_.made.push_back({track.number, clip.is_background, clip.pairs()});
        done.push_back({track.number, clip.times_s.front(), clip.times_s.back(), clip.box, clip.is_background,
                        clip.pairs(), std::move(clip.frames)});
    }
}

CropSignature ClipMaker::sign(const RgbView &frame, const Box &box) {
    const StageTimer timer(counts_.crop_ms);
    return sign_box(graphs_.cuts, frame, box);
}

// Adds the frame to a clip.
void ClipMaker::cut(const RgbView &frame, OpenClip &clip, double time_s, const CropSignature &signature) {
    const StageTimer timer(counts_.crop_ms);
    cut_crop(graphs_.crop, frame, clip.box, graphs_.crop_size, clip.frames);
    clip.times_s.push_back(time_s);
    clip.signature = signature;
}

std::vector<Face> ClipMaker::find(const RgbView &image) {
    const StageTimer timer(counts_.faces_ms);
    return find_faces(graphs_.faces, image);
}

size_t ClipMaker::crop_bytes() const noexcept {
    const auto side = static_cast<size_t>(graphs_.crop_size);
    return 3 * side * side;
}

} // namespace flowtell_core
