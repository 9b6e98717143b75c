// What lies below the C interface, against published vectors and values worked out by hand.
#include "budget.h"
#include "exact_sum.h"
#include "faces.h"
#include "graph_facts.h"
#include "json.h"
#include "sha256.h"
#include "tracks.h"
#include "utf8.h"
#include "verdict.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

namespace {

int failures = 0;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                         \
            ++failures;                                                                                                \
        }                                                                                                              \
    } while (0)

std::string sha256_of(const std::string &text) {
    return flowtell_core::sha256_hex(reinterpret_cast<const uint8_t *>(text.data()), text.size());
}

// NIST, "Examples with Intermediate Values" for SHA-256, and the long message of SHA-2's first test suite; the lengths
// around 55 and 64 bytes are where the padding takes another block (values of sha256sum).
void test_sha256() {
    CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(
        sha256_of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnop"
                  "qrstnopqrstu") == "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    CHECK(sha256_of(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK(sha256_of(std::string(55, 'a')) == "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    CHECK(sha256_of(std::string(56, 'a')) == "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    CHECK(sha256_of(std::string(64, 'a')) == "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

bool is_refused(const std::string &text) {
    try {
        flowtell_core::json_from_text(text);
        return false;
    } catch (const flowtell_core::JsonError &) {
        return true;
    }
}

void test_json_is_strict() {
    const std::string deep = std::string(102, '[') + std::string(102, ']');
    const std::string refused[] = {
        "",
        " ",
        "nul",
        "tru",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "[1 2]",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "0x1",
        "NaN",
        "-Infinity",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\xef\xbb\xbf{}",
        "{}x",
        "[",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "'a'",
        "// c\n1",
        deep,
        std::string(100000, '['),
        std::string(4301, '9'),
        std::string("[1\0]", 4),
    };
    for (const std::string &text : refused) {
        if (!is_refused(text)) {
            std::fprintf(stderr, "this was read as JSON: %.40s\n", text.c_str());
            ++failures;
        }
    }
}

void test_json_values() {
    using Kind = flowtell_core::JsonValue::Kind;
    const flowtell_core::JsonValue value =
        flowtell_core::json_from_text(" {\"a\": [1, -2.5e1, true, null], \"\\u00e9\\ud83d\\ude00\\n\": \"\\\"\\/\", "
                                      "\"big\": 1e999, \"tiny\": -1e-999,"
                                      "\"bigger\": 1e9223372036854775807,"
                                      "\"tinier\": 0.001e-9223372036854775808,"
                                      "\"long\": 0." +
                                      std::string(400, '0') + "1, \"int\": 123456789012345678901234567890} ");
    CHECK(value.members.size() == 8);
    CHECK(value.find("a")->items[0].kind == Kind::integer && value.find("a")->items[0].integer == 1);
    CHECK(value.find("a")->items[1].kind == Kind::real && value.find("a")->items[1].real == -25.0);
    CHECK(value.find("a")->items[2].boolean);
    CHECK(value.find("\xc3\xa9\xf0\x9f\x98\x80\n")->text == "\"/");
    CHECK(std::isinf(value.find("big")->real) && std::isinf(value.find("bigger")->real));
    CHECK(value.find("tinier")->real == 0.0);
    CHECK(value.find("tiny")->real == 0.0 && value.find("long")->real == 0.0);
    CHECK(value.find("int")->integer == std::numeric_limits<int64_t>::max() && value.find("int")->real > 1e29);
    CHECK(value.find("absent") == nullptr);
}

// What Python's json.dumps gives.
void test_json_writer() {
    const struct {
        double value;
        const char *text;
    } numbers[] = {{0.0, "0.0"},
                   {-0.0, "-0.0"},
                   {1.0, "1.0"},
                   {0.1, "0.1"},
                   {1e-4, "0.0001"},
                   {1e-5, "1e-05"},
                   {1e15, "1000000000000000.0"},
                   {1e16, "1e+16"},
                   {-2.5, "-2.5"},
                   {123.456, "123.456"},
                   {1.5e300, "1.5e+300"},
                   {5e-324, "5e-324"},
                   {1.0 / 3, "0.3333333333333333"}};
    for (const auto &number : numbers) {
        CHECK(flowtell_core::json_number(number.value) == number.text);
    }
    CHECK(flowtell_core::json_quoted("a\"\\\n\x01\x7f/\xc3\xa9\xf0\x9f\x98\x80\xff") ==
          "\"a\\\"\\\\\\n\\u0001\\u007f/\\u00e9\\ud83d\\ude00\\udcff\"");
}

void test_exact_sum() {
    CHECK(flowtell_core::exact_sum({}) == 0.0);
    CHECK(flowtell_core::exact_sum({1e100, 1.0, -1e100, 1e-100}) == 1.0);
    CHECK(flowtell_core::exact_sum({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}) == 1.0);
    // 1 + 2**-53 lies half-way and goes to the even 1; any bit below makes it 1 + 2**-52
    CHECK(flowtell_core::exact_sum({1.0, std::ldexp(1.0, -53)}) == 1.0);
    CHECK(flowtell_core::exact_sum({1.0, std::ldexp(1.0, -53), std::ldexp(1.0, -106)}) == 1.0 + std::ldexp(1.0, -52));
}

void test_boxes() {
    const flowtell_core::Face face = {10.0, 20.0, 100.0, 80.0, 0.9};
    const flowtell_core::Box box = flowtell_core::square_box(face, 1.3); // side 130, corner at (-5, -5)
    CHECK(box.x == -4 && box.y == -4 && box.w == 130 && box.h == 130);   // floor(-2.5 + 0.5) * 2 = -4
    CHECK(flowtell_core::intersection_over_union({0, 0, 10, 10}, {5, 0, 10, 10}) == 50.0 / 150.0);
    CHECK(flowtell_core::intersection_over_union({0, 0, 10, 10}, {10, 0, 10, 10}) == 0.0);

    const float infinite = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    const float boxes[] = {0, 0, 100, 100, 2,    0,  100,  100, 500, 0,  50, 50, infinite, 0,
                           9, 9, 0,   0,   0.5F, 99, 2e6F, 0,   99,  99, 0,  0,  nan,      9};
    const float scores[] = {0.75F, 0.25F, 0.9F, 1, 1, 1, 1};
    const std::vector<flowtell_core::Face> faces = flowtell_core::merge_candidates(boxes, scores, 7);
    CHECK(faces.size() == 2);
    CHECK(faces[0].x == 500.0 && faces[0].w == 50.0);
    CHECK(faces[1].x == 0.5 && faces[1].w == 100.0 && faces[1].score == 0.75);
}

// A face that moves 10 px a second is expected where it is going; never further ahead than 16 times its last step.
void test_expected_face() {
    flowtell_core::Track track = {0, {0, 0, 100, 100, 1}, 0.0};
    CHECK(track.expected_face(5.0).x == 0.0);
    track.see({10, 0, 100, 100, 1}, 1.0);
    CHECK(track.expected_face(3.0).x == 30.0);
    CHECK(track.expected_face(1000.0).x == 170.0);
}

void test_even_sample() {
    flowtell_core::EvenSample sample(4);
    for (int32_t i = 0; i < 100; ++i) {
        sample.offer({i, 0.0, 0.0, {0, 0, 2, 2}, i % 10 == 0, 4, {}});
    }
    const std::vector<flowtell_core::FaceClip> kept = sample.take();
    CHECK(sample.offered() == 100 && kept.size() == 4);
    for (size_t i = 0; i < kept.size(); ++i) {
        CHECK(!kept[i].is_background);
        CHECK(i == 0 || kept[i].track > kept[i - 1].track);
    }
}

void test_graph_facts_refuse_numbers_beyond_64_bits() {
    // a length of 2**69, of which the low 64 bits are zero
    const uint8_t data[] = {0x3A, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40};
    try {
        flowtell_core::graph_facts_from_bytes(data, sizeof data);
        CHECK(false);
    } catch (const flowtell_core::MalformedGraph &) {
    }
}

void test_long_names_are_cut_between_characters() {
    std::string exact, longer;
    for (int i = 0; i < 200; ++i) {
        exact += "\xc3\xa9";
    }
    longer = exact + "\xc3\xa9";
    CHECK(flowtell_core::shortened(exact) == exact);
    CHECK(flowtell_core::shortened(longer) == exact + "...");
    CHECK(flowtell_core::shortened("") == "");
}

} // namespace

int main() {
    test_sha256();
    test_json_is_strict();
    test_json_values();
    test_json_writer();
    test_exact_sum();
    test_boxes();
    test_expected_face();
    test_even_sample();
    test_graph_facts_refuse_numbers_beyond_64_bits();
    test_long_names_are_cut_between_characters();
    CHECK(flowtell_core::sigmoid(0.0) == 0.5 && flowtell_core::sigmoid(-1000.0) == 0.0 &&
          flowtell_core::sigmoid(1000.0) == 1.0);
    return failures == 0 ? 0 : 1;
}
