// Tracks: which face of this look is which face of the look before, and where the shot was cut.
#pragma once

#include "faces.h"

#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace flowtell_core {

// Watches the boxes of one track, one signature after the other, in whole numbers.
class CutFinder {
  public:
    // Whether two consecutive crops of one box show different shots; remembers how they differ.
    bool is_cut(const CropSignature &before, const CropSignature &after);

  private:
    std::deque<int32_t> recent_;
};

// A face clip that is still growing: one box, and what was cut out of each frame so far.
struct OpenClip {
    Box box;
    Face face;
    bool is_background;
    CropSignature signature; // of the box in the latest frame
    std::vector<double> times_s;
    std::vector<uint8_t> frames; // [times_s.size(), S, S, 3]

    int32_t pairs() const noexcept { return static_cast<int32_t>(times_s.size()) - 1; }
    // Drops all but the first `count` frames of `frame_bytes` each.
    void keep(size_t count, size_t frame_bytes);
};

// One face followed through a shot; there is no clip while the face is out of sight.
struct Track {
    int32_t number;
    Face face;                       // where it was when last seen
    double seen_s;                   // and when
    std::optional<Face> before = {}; // at the look before that one
    double before_s = 0.0;
    std::optional<OpenClip> clip = {};
    CutFinder cuts = {};

    void see(const Face &now, double time_s);
    // Where the face is if it moved on as it did between its last two looks, its size kept.
    Face expected_face(double time_s) const;
};

// Pairs tracks with the faces of this look, largest overlap first: index of the track -> index of the face.
std::map<size_t, size_t> match_faces(const std::vector<Track> &tracks, const std::vector<Face> &faces, double time_s,
                                     double margin);

// Whether two faces, seen up to T frames apart, overlap enough to be one.
bool is_same_face(const Face &first, const Face &second, double margin);

} // namespace flowtell_core
