#include "bundle.h"

#include "graph_facts.h"
#include "sha256.h"
#include "status.h"
#include "utf8.h"

#include <cerrno>
#include <cinttypes>
#include <set>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using flowtell_core::error;

constexpr uint64_t max_ir_version = 10; // what ONNX Runtime 1.22, the oldest tested, still reads

struct Opsets {
    uint64_t first, last;
};

constexpr Opsets opsets = {18, 20};
constexpr Opsets bfloat16_opsets = {22, 22}; // a convolution takes bfloat16 from 22 on

class File {
  public:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File() { ::close(descriptor_); }

    int descriptor() const { return descriptor_; }

  private:
    int descriptor_;
};

// The sentence of an errno; strerror() is not safe between threads.
std::string words_of(int number) { return std::generic_category().message(number); }

int open_without_links(const std::string &folder, const char *name) {
    const std::string path = folder + "/" + name;
    // O_NONBLOCK keeps a named pipe from blocking the open
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor >= 0) {
        return descriptor;
    }
    const int failure = errno;
    if (failure == ELOOP) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' in the bundle is a link; a bundle must hold its files themselves",
                    name);
    }
    if (failure == ENOENT) {
        throw error(FLOWTELL_BUNDLE_ERROR, "the bundle at '%s' has no '%s'", folder.c_str(), name);
    }
    throw error(FLOWTELL_BUNDLE_ERROR, "'%s' in the bundle cannot be opened: %s", name, words_of(failure).c_str());
}

// A file of the folder that is a file itself: no link, no pipe, no device, at most `limit_bytes`.
std::vector<uint8_t> read_regular_file(const std::string &folder, const char *name, uint64_t limit_bytes) {
    const File file(open_without_links(folder, name));
    struct stat status;
    if (::fstat(file.descriptor(), &status) != 0 || !S_ISREG(status.st_mode)) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' in the bundle is not a regular file", name);
    }
    const auto stated_bytes = static_cast<uint64_t>(status.st_size);
    if (stated_bytes > limit_bytes) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' in the bundle has %" PRIu64 " bytes; at most %" PRIu64 " are read",
                    name, stated_bytes, limit_bytes);
    }
    // one byte more than it had: a file that grows meanwhile is seen
    std::vector<uint8_t> data(static_cast<size_t>(stated_bytes) + 1);
    size_t taken = 0;
    while (taken < data.size()) {
        const ssize_t got = ::read(file.descriptor(), data.data() + taken, data.size() - taken);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw error(FLOWTELL_BUNDLE_ERROR, "'%s' in the bundle cannot be read: %s", name, words_of(errno).c_str());
        }
        if (got == 0) {
            break;
        }
        taken += static_cast<size_t>(got);
    }
    if (taken > stated_bytes) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' in the bundle grew past %" PRIu64 " bytes while it was read", name,
                    stated_bytes);
    }
    data.resize(taken);
    return data;
}

bool is_folder(const std::string &path) {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) {
        return S_ISDIR(status.st_mode);
    }
    const int failure = errno;
    if (failure != ENOENT && failure != ENOTDIR) {
        throw error(FLOWTELL_BUNDLE_ERROR, "the bundle at '%s' cannot be opened: %s",
                    flowtell_core::shortened(path).c_str(), words_of(failure).c_str());
    }
    return false;
}

} // namespace

namespace flowtell_core {

Bundle Bundle::open(const std::string &folder) {
    if (!is_folder(folder)) {
        throw error(FLOWTELL_BUNDLE_ERROR, "there is no bundle at '%s': give a folder with a manifest.json",
                    folder.c_str());
    }
    const std::vector<uint8_t> data = read_regular_file(folder, "manifest.json", max_manifest_bytes);
    const std::string_view text(reinterpret_cast<const char *>(data.data()), data.size());
    return {folder, manifest_from_text(text), sha256_hex(data.data(), data.size())};
}

std::vector<uint8_t> Bundle::read_graph(const std::string &graph, const std::string &precision) const {
    const GraphFile *entry = manifest.graph(graph, precision);
    if (entry == nullptr) {
        std::string others;
        for (const auto &[name, precisions] : manifest.graphs) {
            for (size_t i = 0; name == graph && i < precisions.size(); ++i) {
                others += (others.empty() ? ", but in " : ", ") + precisions[i].first;
            }
        }
        throw error(FLOWTELL_BUNDLE_ERROR, "the bundle '%s' has no %s graph in %s%s%s", manifest.name.c_str(),
                    graph.c_str(), precision.c_str(), others.c_str(),
                    others.empty() ? "" : ": 'flowtell export' derives other precisions");
    }
    const char *file = entry->file.c_str();
    std::vector<uint8_t> data = read_regular_file(folder, file, max_graph_bytes);
    if (data.size() != entry->bytes) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' has %zu bytes but the manifest says %" PRIu64, file, data.size(),
                    entry->bytes);
    }
    if (sha256_hex(data.data(), data.size()) != entry->sha256) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' is not the file the manifest names: its SHA-256 differs", file);
    }
    require_portable_graph(data.data(), data.size(), entry->file, precision);
    return data;
}

void require_portable_graph(const uint8_t *data, size_t size, const std::string &file, const std::string &precision) {
    GraphFacts facts;
    try {
        facts = graph_facts_from_bytes(data, size);
    } catch (const MalformedGraph &failure) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' is not an ONNX model that flowtell reads: %s", file.c_str(),
                    failure.what());
    }
    if (!facts.external_tensors.empty()) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' keeps the tensor '%s' outside itself: save it without external data",
                    file.c_str(), facts.external_tensors.front().c_str());
    }
    if (*facts.ir_versions.rbegin() > max_ir_version || *facts.ir_versions.begin() < 1) {
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' has ONNX IR version %" PRIu64 "; at most %" PRIu64 " is read",
                    file.c_str(), *facts.ir_versions.rbegin(), max_ir_version);
    }
    for (const std::string &domain : facts.domains) {
        if (!domain.empty() && domain != "ai.onnx") {
            throw error(FLOWTELL_BUNDLE_ERROR, "'%s' uses operators of the domain '%s'; only standard ones are run",
                        file.c_str(), domain.c_str());
        }
    }
    const std::set<uint64_t> &versions = facts.opset_versions;
    const Opsets read = precision == "bf16" ? bfloat16_opsets : opsets;
    if (versions.empty() || *versions.begin() < read.first || *versions.rbegin() > read.last) {
        std::string stated;
        for (const uint64_t version : versions) {
            stated += (stated.empty() ? "" : ", ") + std::to_string(version);
        }
        throw error(FLOWTELL_BUNDLE_ERROR, "'%s' imports opset %s; from %" PRIu64 " to %" PRIu64 " is read",
                    file.c_str(), stated.empty() ? "none" : shortened(stated).c_str(), read.first, read.last);
    }
}

} // namespace flowtell_core
