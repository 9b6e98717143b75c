#include "manifest.h"

#include "json.h"
#include "status.h"
#include "utf8.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>

namespace {

using flowtell_core::GraphFile;
using flowtell_core::JsonValue;
using flowtell_core::Manifest;
using Kind = JsonValue::Kind;

constexpr int64_t format = 2;
constexpr int64_t max_crop_size = 1024;
constexpr int64_t crop_size_step = 64;     // PWC-Net halves its input six times
constexpr int64_t max_least_pairs = 65536; // half an hour of a face: a bundle that asks for more would never judge
constexpr int64_t max_text_characters = 1000;

[[noreturn]] void refuse(const std::string &why) {
    throw flowtell_core::Error(FLOWTELL_BUNDLE_ERROR, "manifest.json" + why);
}

std::string quoted(std::string_view key) { return "'" + std::string(key) + "'"; }

struct Entry {
    std::string_view key;
    std::function<void(const JsonValue &, const std::string &where)> parse;
    bool is_optional = false;
};

// Every key of the object is one of the entries', and each is there that is not optional.
void parse_object(const JsonValue &value, const std::string &where, std::initializer_list<Entry> entries) {
    if (value.kind != Kind::object) {
        refuse(": " + where + " must be an object");
    }
    for (const auto &[key, member] : value.members) {
        const bool known =
            std::any_of(entries.begin(), entries.end(), [&key = key](const Entry &entry) { return entry.key == key; });
        if (!known) {
            refuse(": " + where + " has the unknown key " + quoted(flowtell_core::shortened(key)));
        }
    }
    for (const Entry &entry : entries) {
        if (value.find(entry.key) == nullptr && !entry.is_optional) {
            refuse(": " + where + " lacks the key " + quoted(entry.key));
        }
    }
    for (const Entry &entry : entries) {
        if (const JsonValue *member = value.find(entry.key)) {
            entry.parse(*member, quoted(entry.key));
        }
    }
}

template <typename Parse> void parse_array(const JsonValue &value, const std::string &where, Parse parse) {
    if (value.kind != Kind::array) {
        refuse(": " + where + " must be an array");
    }
    for (size_t i = 0; i < value.items.size(); ++i) {
        parse(value.items[i], "item " + std::to_string(i) + " of " + where);
    }
}

std::string text_of(const JsonValue &value, const std::string &where) {
    int64_t characters = 0;
    for (size_t position = 0; position < value.text.size(); ++characters) {
        flowtell_core::next_code_point(value.text, position);
    }
    if (value.kind != Kind::text || characters < 1 || characters > max_text_characters) {
        refuse(": " + where + " must be text of 1 to 1000 characters");
    }
    return value.text;
}

void require_one_of(bool is_text, std::string_view text, const std::string &where,
                    std::initializer_list<std::string_view> allowed) {
    if (is_text && std::find(allowed.begin(), allowed.end(), text) != allowed.end()) {
        return;
    }
    std::string listed;
    for (const std::string_view name : allowed) {
        listed += (listed.empty() ? "" : ", ") + std::string(name);
    }
    refuse(": " + where + " must be one of " + listed);
}

int64_t integer_of(const JsonValue &value, const std::string &where, int64_t low, int64_t high) {
    if (value.kind != Kind::integer || value.integer < low || value.integer > high) {
        refuse(": " + where + " must be an integer from " + std::to_string(low) + " to " + std::to_string(high));
    }
    return value.integer;
}

// `range` says low and high in words.
double number_of(const JsonValue &value, const std::string &where, double low, double high, const char *range) {
    const bool is_number = value.kind == Kind::integer || value.kind == Kind::real;
    if (!is_number || !(low <= value.real && value.real <= high)) {
        refuse(": " + where + " must be a number from " + range);
    }
    return value.real;
}

int32_t crop_size_of(const JsonValue &value, const std::string &where) {
    const int64_t size = integer_of(value, where, crop_size_step, max_crop_size);
    if (size % crop_size_step != 0) {
        refuse(": " + where + " must be a multiple of " + std::to_string(crop_size_step));
    }
    return static_cast<int32_t>(size);
}

bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// [A-Za-z0-9][A-Za-z0-9._-]{0,126}\.onnx
bool is_file_name(std::string_view name) {
    constexpr std::string_view ending = ".onnx";
    if (name.size() <= ending.size() || name.size() > 127 + ending.size() ||
        name.substr(name.size() - ending.size()) != ending || !is_letter_or_digit(name[0])) {
        return false;
    }
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

std::string file_name_of(const JsonValue &value, const std::string &where) {
    if (value.kind != Kind::text || !is_file_name(value.text)) {
        const std::string found = value.kind == Kind::text ? quoted(flowtell_core::shortened(value.text)) : "no text";
        refuse(": " + where + " is " + found +
               ", but a graph must be a plain file name that ends in .onnx, in the bundle's own folder");
    }
    return value.text;
}

std::string sha256_of(const JsonValue &value, const std::string &where) {
    const bool is_hex = std::all_of(value.text.begin(), value.text.end(),
                                    [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (value.kind != Kind::text || value.text.size() != 64 || !is_hex) {
        refuse(": " + where + " must be 64 lower-case hexadecimal digits");
    }
    return value.text;
}

GraphFile graph_file_of(const JsonValue &value, const std::string &at) {
    GraphFile file;
    parse_object(value, at,
                 {{"file", [&](const JsonValue &v, const std::string &where) { file.file = file_name_of(v, where); }},
                  {"sha256", [&](const JsonValue &v, const std::string &where) { file.sha256 = sha256_of(v, where); }},
                  {"bytes", [&](const JsonValue &v, const std::string &where) {
                       const auto most = static_cast<int64_t>(flowtell_core::max_graph_bytes);
                       file.bytes = static_cast<uint64_t>(integer_of(v, where, 1, most));
                   }}});
    return file;
}

void parse_graphs(const JsonValue &value, const std::string &where, Manifest &manifest) {
    if (value.kind != Kind::object) {
        refuse(": " + where + " must be an object");
    }
    for (const auto &[name, precisions] : value.members) {
        require_one_of(true, name, "each key of " + where, {"faces", "cuts", "crop", "detector", "flow", "classifier"});
        const std::string graph = "graph " + quoted(name);
        if (precisions.kind != Kind::object || precisions.members.empty()) {
            refuse(": " + graph + " must be an object with a precision in it");
        }
        Manifest::Precisions files;
        for (const auto &[precision, entry] : precisions.members) {
            require_one_of(true, precision, "each key of " + graph, {"fp32", "fp16", "bf16", "int8"});
            files.emplace_back(precision, graph_file_of(entry, graph + " " + precision));
        }
        manifest.graphs.emplace_back(name, std::move(files));
    }
    for (const char *name : {"faces", "cuts", "crop"}) {
        if (value.find(name) == nullptr) {
            refuse(": " + where + " lacks the graph " + quoted(name));
        }
    }
}

// The parser turns 1e999 into infinity.
void require_finite(const JsonValue &value, const std::string &where) {
    if (value.kind == Kind::real && !std::isfinite(value.real)) {
        refuse(": " + where + " holds a number that is not finite");
    }
    for (const JsonValue &item : value.items) {
        require_finite(item, where);
    }
    for (const auto &[key, member] : value.members) {
        require_finite(member, where);
    }
}

void parse_least_evidence(const JsonValue &value, const std::string &at, flowtell_core::LeastEvidence &least) {
    parse_object(value, at,
                 {{"pairs", [&](const JsonValue &v,
                                const std::string &where) { least.pairs = integer_of(v, where, 0, max_least_pairs); }},
                  {"face_px", [&](const JsonValue &v, const std::string &where) {
                       least.face_px = integer_of(v, where, 0, max_crop_size);
                   }}});
}

void parse_document(const JsonValue &document, Manifest &manifest) {
    const auto text = [](std::string &target) {
        return [&target](const JsonValue &v, const std::string &where) { target = text_of(v, where); };
    };
    const auto ignored_text = [](const JsonValue &v, const std::string &where) { text_of(v, where); };
    parse_object(
        document, "the manifest",
        {{"format", [](const JsonValue &v, const std::string &where) { integer_of(v, where, format, format); }},
         {"name", text(manifest.name)},
         {"licence", text(manifest.licence)},
         {"colour_order",
          [](const JsonValue &v, const std::string &where) {
              require_one_of(v.kind == Kind::text, v.text, where, {"RGB"});
          }},
         {"crop_size",
          [&](const JsonValue &v, const std::string &where) { manifest.crop_size = crop_size_of(v, where); }},
         {"pairs_per_clip",
          [&](const JsonValue &v, const std::string &where) {
              manifest.pairs_per_clip = static_cast<int32_t>(integer_of(v, where, 4, 64));
          }},
         {"crop_margin",
          [&](const JsonValue &v, const std::string &where) {
              manifest.crop_margin = number_of(v, where, 1.0, 3.0, "1 to 3");
          }},
         {"face_score_threshold",
          [](const JsonValue &v, const std::string &where) { number_of(v, where, 0.0, 1.0, "0 to 1"); }},
         {"flow_encoding",
          [](const JsonValue &v, const std::string &where) {
              require_one_of(v.kind == Kind::text, v.text, where, {"colour_wheel", "uv", "uv_residual"});
          }},
         {"weights_storage", ignored_text},
         {"graphs", [&](const JsonValue &v, const std::string &where) { parse_graphs(v, where, manifest); }},
         {"temperature",
          [](const JsonValue &v, const std::string &where) { number_of(v, where, 1e-3, 1e3, "0.001 to 1000"); }},
         {"thresholds",
          [&](const JsonValue &v, const std::string &at) {
              parse_array(v, at, [&](const JsonValue &item, const std::string &where) {
                  parse_object(item, where,
                               {{"fake_probability",
                                 [&](const JsonValue &number, const std::string &here) {
                                     manifest.thresholds.push_back(number_of(number, here, 0.0, 1.0, "0 to 1"));
                                 }},
                                {"operating_point", ignored_text}});
              });
          }},
         {"training_data",
          [&](const JsonValue &v, const std::string &at) {
              parse_array(v, at, [&](const JsonValue &item, const std::string &where) {
                  parse_object(item, where, {{"name", ignored_text}, {"terms", ignored_text}});
              });
          }},
         {"certificates",
          [](const JsonValue &v, const std::string &at) {
              parse_array(v, at, [](const JsonValue &item, const std::string &where) {
                  if (item.kind != Kind::object) {
                      refuse(": " + where + " must be an object");
                  }
                  require_finite(item, where);
              });
          }},
         {"least_evidence",
          [&](const JsonValue &v, const std::string &where) {
              parse_least_evidence(v, where, manifest.least_evidence);
          },
          true}});
}

} // namespace

namespace flowtell_core {

const GraphFile *Manifest::graph(std::string_view wanted, std::string_view wanted_precision) const noexcept {
    for (const auto &[graph_name, precisions] : graphs) {
        for (const auto &[precision, file] : precisions) {
            if (graph_name == wanted && precision == wanted_precision) {
                return &file;
            }
        }
    }
    return nullptr;
}

Manifest manifest_from_text(std::string_view text) {
    JsonValue document;
    try {
        document = json_from_text(text);
    } catch (const JsonError &failure) {
        refuse(" is not JSON as flowtell reads it: " + std::string(failure.what()));
    }
    const JsonValue *stated = document.find("format");
    const bool is_number = stated != nullptr && (stated->kind == Kind::integer || stated->kind == Kind::real);
    if (document.kind == Kind::object && !(is_number && stated->real == static_cast<double>(format))) {
        const std::string found = stated == nullptr               ? "no format"
                                  : !is_number                    ? "a format that is no number"
                                  : stated->kind == Kind::integer ? "format " + std::to_string(stated->integer)
                                                                  : "format " + json_number(stated->real);
        refuse(" has " + found + "; this flowtell reads format " + std::to_string(format) +
               ": export the bundle again, or install a flowtell that knows that format");
    }
    Manifest manifest;
    parse_document(document, manifest);
    const bool has_detector = std::any_of(manifest.graphs.begin(), manifest.graphs.end(),
                                          [](const auto &graph) { return graph.first == "detector"; });
    if (has_detector && manifest.thresholds.empty()) {
        refuse(" has a detector but no thresholds: state at least one");
    }
    return manifest;
}

} // namespace flowtell_core
