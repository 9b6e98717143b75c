#include "plan_cache.h"

#include "json.h"
#include "sha256.h"
#include "status.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace {

using flowtell_core::Error;
using flowtell_core::error;

constexpr char format_line[] = "flowtell plan 1\n";
constexpr size_t format_bytes = sizeof format_line - 1, code_digits = 64, secret_bytes = 32;
constexpr uint64_t max_plan_bytes = uint64_t{1} << 32;
constexpr int32_t clips_per_call = 8; // as Python builds them
constexpr size_t sha256_block = 64;

// A failure in the words "'PATH' REASON"; Error's own sentences are cut at 1023 bytes.
Error refused(const std::string &path, const std::string &reason) {
    return Error(FLOWTELL_PROVIDER_ERROR, "'" + path + "' " + reason);
}

bool is_private(const struct stat &status) {
    return status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// $VARIABLE/flowtell, or ~/USUAL/flowtell where that is not set.
std::string private_folder(const char *variable, const char *usual) {
    const char *stated = std::getenv(variable), *home = std::getenv("HOME");
    if ((stated == nullptr || *stated == '\0') && home == nullptr) {
        throw error(FLOWTELL_PROVIDER_ERROR, "neither %s nor HOME says where plans lie: set one", variable);
    }
    const std::string base = stated != nullptr && *stated != '\0' ? stated : std::string(home) + "/" + usual;
    const std::string folder = base + "/flowtell";
    struct stat status;
    if (::stat(folder.c_str(), &status) == 0 && !is_private(status)) {
        throw error(FLOWTELL_PROVIDER_ERROR, "the folder '%s' can be written to by others: make it yours alone",
                    folder.c_str());
    }
    return folder;
}

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor() {
        if (number_ >= 0) {
            ::close(number_);
        }
    }
    int number() const { return number_; }

  private:
    int number_;
};

// A file that is a file itself, this user's alone, under one name. `missing` is the reason where there is none.
std::vector<uint8_t> read_private_file(const std::string &path, uint64_t limit_bytes, const std::string &missing) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file.number() < 0) {
        const int number = errno;
        throw refused(path, number == ENOENT  ? missing
                            : number == ELOOP ? "is a link"
                                              : "cannot be opened: " + std::generic_category().message(number));
    }
    struct stat status;
    if (::fstat(file.number(), &status) != 0 || !S_ISREG(status.st_mode)) {
        throw refused(path, "is no regular file");
    }
    if (!is_private(status)) {
        throw refused(path, "is another user's, or others can write to it");
    }
    if (status.st_nlink != 1) {
        throw refused(path, "has another name elsewhere");
    }
    if (static_cast<uint64_t>(status.st_size) > limit_bytes) {
        throw refused(path, "has more than " + std::to_string(limit_bytes) + " bytes");
    }
    std::vector<uint8_t> data(static_cast<size_t>(status.st_size));
    size_t taken = 0;
    while (taken < data.size()) {
        const ssize_t got = ::read(file.number(), data.data() + taken, data.size() - taken);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            throw refused(path, "cannot be read as a whole");
        }
        taken += static_cast<size_t>(got);
    }
    return data;
}

std::string read_secret() {
    const std::string path = private_folder("XDG_STATE_HOME", ".local/state") + "/plan-secret";
    const std::vector<uint8_t> secret = read_private_file(
        path, secret_bytes, "is missing: no plan was made here before, and those there are not opened");
    struct stat status;
    const bool is_open = ::stat(path.c_str(), &status) != 0 || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    if (secret.size() != secret_bytes || is_open) {
        throw refused(path, "is no secret of 32 bytes that only you can read");
    }
    return {secret.begin(), secret.end()};
}

std::string plans_folder() {
    const std::string folder = private_folder("XDG_CACHE_HOME", ".cache") + "/plans";
    struct stat status;
    if (::lstat(folder.c_str(), &status) == 0 && (!S_ISDIR(status.st_mode) || !is_private(status))) {
        throw refused(folder, "is a link, or can be written to by others");
    }
    return folder;
}

// Takes as long wherever the first difference is.
bool is_same_code(const uint8_t *one, const std::string &other) {
    unsigned difference = 0;
    for (size_t i = 0; i < code_digits; ++i) {
        difference |= static_cast<unsigned>(one[i]) ^ static_cast<unsigned char>(other[i]);
    }
    return difference == 0;
}

std::string bytes_of_hex(const std::string &digits) {
    std::string bytes;
    for (size_t i = 0; i < digits.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

std::string sha256_of(const std::string &text) {
    return flowtell_core::sha256_hex(reinterpret_cast<const uint8_t *>(text.data()), text.size());
}

} // namespace

namespace flowtell_core {

std::string hmac_sha256_hex(const std::string &secret, const uint8_t *data, size_t size) {
    std::string inner(sha256_block, '\x36'), outer(sha256_block, '\x5c');
    for (size_t i = 0; i < secret.size(); ++i) {
        inner[i] = static_cast<char>(inner[i] ^ secret[i]);
        outer[i] = static_cast<char>(outer[i] ^ secret[i]);
    }
    inner.append(reinterpret_cast<const char *>(data), size);
    return sha256_of(outer + bytes_of_hex(sha256_of(inner)));
}

std::string PlanKey::canonical() const {
    struct utsname system;
    if (::uname(&system) != 0) {
        throw error(FLOWTELL_PROVIDER_ERROR, "the system does not say what it is");
    }
    const auto shape = [this](int32_t clips, int32_t pairs) {
        const std::string side = std::to_string(crop_size);
        return "[" + std::to_string(clips) + "," + std::to_string(pairs + 1) + "," + side + "," + side + ",3]";
    };
    const std::string profile =
        "[" + shape(1, 1) + "," + shape(1, pairs_per_clip) + "," + shape(clips_per_call, pairs_per_clip) + "]";
    // keys in the order of the alphabet, as Python sorts them
    return "{\"backend\":" + json_quoted(backend) + ",\"compute_capability\":" + json_quoted(compute_capability) +
           ",\"gpu\":" + json_quoted(gpu) + ",\"graph_sha256\":" + json_quoted(graph_sha256) +
           ",\"precision\":" + json_quoted(precision) + ",\"profile\":{\"clips\":" + profile +
           "},\"system\":" + json_quoted(std::string(system.sysname) + "-" + system.machine) +
           ",\"version\":" + json_quoted(version) + "}";
}

std::vector<uint8_t> read_plan(const PlanKey &key) {
    const std::string wanted = key.canonical();
    const std::string path = plans_folder() + "/" + sha256_of(wanted) + ".plan";
    const std::string missing = "is missing: no plan of the detector in " + key.precision + " for this GPU (" +
                                key.compute_capability + ") is in the cache; run 'flowtell plan BUNDLE'";
    std::vector<uint8_t> data = read_private_file(path, max_plan_bytes, missing);
    if (data.size() < format_bytes || std::memcmp(data.data(), format_line, format_bytes) != 0) {
        throw refused(path, "is no plan that this flowtell reads");
    }
    constexpr size_t body = format_bytes + code_digits + 1;
    if (data.size() < body || data[body - 1] != '\n' ||
        !is_same_code(data.data() + format_bytes,
                      hmac_sha256_hex(read_secret(), data.data() + body, data.size() - body))) {
        throw refused(path, "was not made here, or was changed since: it is not opened");
    }
    const std::string line = wanted + "\n";
    if (data.size() - body < line.size() || std::memcmp(data.data() + body, line.data(), line.size()) != 0) {
        throw refused(path, "is a plan for something else");
    }
    return {data.begin() + static_cast<std::ptrdiff_t>(body + line.size()), data.end()};
}

} // namespace flowtell_core
