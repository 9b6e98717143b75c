// print_hmac SECRET DATA: prints HMAC-SHA256 of DATA; both are hexadecimal.
#include "plan_cache.h"

#include <cstdio>
#include <string>

static std::string bytes_of(const std::string &digits) {
    std::string bytes;
    for (size_t i = 0; i + 1 < digits.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        return 2;
    }
    const std::string data = bytes_of(argv[2]);
    const auto *begin = reinterpret_cast<const uint8_t *>(data.data());
    std::printf("%s\n", flowtell_core::hmac_sha256_hex(bytes_of(argv[1]), begin, data.size()).c_str());
    return 0;
}
