#include "cpu_features.h"

#include <fstream>
#include <sstream>
#include <string>

namespace {

bool flags_have_vnni() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.compare(0, 5, "flags") != 0) {
            continue;
        }
        std::istringstream words(line);
        for (std::string word; words >> word;) {
            if (word == "avx512_vnni" || word == "avx_vnni") {
                return true;
            }
        }
    }
    return false;
}

} // namespace

namespace flowtell_core {

bool has_vnni() {
    static const bool found = flags_have_vnni();
    return found;
}

} // namespace flowtell_core
