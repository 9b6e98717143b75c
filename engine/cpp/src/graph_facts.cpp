// The wire format is that of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/); field numbers are
// those of onnx.proto. Weights are skipped, never copied. Real parsers merge repeated occurrences of a single field;
// this walk looks at each, so nothing can hide behind a later one. It keeps its own stack.
#include "graph_facts.h"

#include "utf8.h"

#include <string_view>

namespace {

using flowtell_core::GraphFacts;
using flowtell_core::MalformedGraph;

// As engine/flowtell/_protobuf.py has them, with the reasons.
constexpr int max_depth = 32;
constexpr int max_fields = 1'000'000;
constexpr int max_rank = 64;
constexpr uint64_t max_elements = uint64_t{1} << 28;

enum class Kind { model, training, graph, function, node, attribute, sparse_tensor, tensor, opset };

constexpr const char *kind_names[] = {"model",     "training",      "graph",  "function", "node",
                                      "attribute", "sparse_tensor", "tensor", "opset"};

struct Child {
    Kind parent;
    uint64_t field;
    Kind kind;
};

constexpr Child children[] = {
    {Kind::model, 7, Kind::graph},
    {Kind::model, 8, Kind::opset},
    {Kind::model, 20, Kind::training},
    {Kind::model, 25, Kind::function},
    {Kind::training, 1, Kind::graph},
    {Kind::training, 2, Kind::graph},
    {Kind::graph, 1, Kind::node},
    {Kind::graph, 5, Kind::tensor},
    {Kind::graph, 15, Kind::sparse_tensor},
    {Kind::function, 7, Kind::node},
    {Kind::function, 9, Kind::opset},
    {Kind::function, 11, Kind::attribute},
    {Kind::node, 5, Kind::attribute},
    {Kind::attribute, 5, Kind::tensor},
    {Kind::attribute, 6, Kind::graph},
    {Kind::attribute, 10, Kind::tensor},
    {Kind::attribute, 11, Kind::graph},
    {Kind::attribute, 22, Kind::sparse_tensor},
    {Kind::attribute, 23, Kind::sparse_tensor},
    {Kind::sparse_tensor, 1, Kind::tensor},
    {Kind::sparse_tensor, 2, Kind::tensor},
};

constexpr uint64_t model_ir_version = 1, node_domain = 7, function_domain = 10, opset_domain = 1, opset_version = 2,
                   tensor_dims = 1, tensor_name = 8, tensor_external_data = 13, tensor_data_location = 14;

constexpr unsigned wire_varint = 0, wire_fixed64 = 1, wire_bytes = 2, wire_fixed32 = 5;

struct Message {
    Kind kind;
    size_t start, end;
    int depth;
};

struct Shape {
    int rank = 0;
    uint64_t elements = 1;
};

struct Field {
    uint64_t number;
    unsigned wire;
    uint64_t value; // a varint's value, or where the payload starts
    size_t stop;    // where the field ends
};

const Child *child_of(Kind parent, uint64_t field) {
    for (const Child &child : children) {
        if (child.parent == parent && child.field == field) {
            return &child;
        }
    }
    return nullptr;
}

std::string at_byte(const char *what, size_t position) {
    return std::string(what) + " at byte " + std::to_string(position);
}

class Walk {
  public:
    Walk(const uint8_t *data, size_t size) : data_(data), size_(size) {}

    GraphFacts facts() {
        std::vector<Message> stack = {{Kind::model, 0, size_, 0}};
        int graphs = 0;
        while (!stack.empty()) {
            const Message message = stack.back();
            stack.pop_back();
            if (message.depth > max_depth) {
                throw MalformedGraph("it is nested deeper than " + std::to_string(max_depth) + " levels");
            }
            graphs += message.kind == Kind::graph;
            read_message(message, stack);
        }
        if (facts_.ir_versions.empty() || graphs == 0) {
            throw MalformedGraph("it has no IR version or no graph");
        }
        return std::move(facts_);
    }

  private:
    void read_message(const Message &message, std::vector<Message> &stack) {
        std::string tensor;
        bool has_domain = false, has_version = false, is_external = false;
        Shape shape;
        for (size_t position = message.start; position < message.end;) {
            const Field field = next_field(position, message.end);
            if (++fields_ > max_fields) {
                throw MalformedGraph("it holds more than " + std::to_string(max_fields) + " fields");
            }
            if (const Child *child = child_of(message.kind, field.number)) {
                if (field.wire != wire_bytes) {
                    throw MalformedGraph("field " + std::to_string(field.number) + " of a " +
                                         kind_names[static_cast<int>(message.kind)] + " is not a message");
                }
                stack.push_back({child->kind, static_cast<size_t>(field.value), field.stop, message.depth + 1});
            } else if (message.kind == Kind::model && field.number == model_ir_version) {
                facts_.ir_versions.insert(version(field));
            } else if ((message.kind == Kind::node && field.number == node_domain) ||
                       (message.kind == Kind::function && field.number == function_domain) ||
                       (message.kind == Kind::opset && field.number == opset_domain)) {
                facts_.domains.insert(text(field));
                has_domain = true;
            } else if (message.kind == Kind::opset && field.number == opset_version) {
                facts_.opset_versions.insert(version(field));
                has_version = true;
            } else if (message.kind == Kind::tensor) {
                if (field.number == tensor_name) {
                    tensor = text(field);
                } else if (field.number == tensor_dims) {
                    read_dims(field, shape);
                } else if (field.number == tensor_external_data ||
                           (field.number == tensor_data_location && field.value != 0)) {
                    is_external = true;
                }
            }
        }
        if ((message.kind == Kind::opset || message.kind == Kind::node) && !has_domain) {
            facts_.domains.emplace();
        }
        if (message.kind == Kind::opset && !has_version) {
            facts_.opset_versions.insert(0);
        }
        if (is_external) {
            facts_.external_tensors.push_back(tensor);
        }
    }

    Field next_field(size_t &position, size_t end) const {
        const uint64_t key = varint(position, end);
        if (key >> 32 != 0) {
            // parsers drop these bits, and what looks unknown here would be another field there
            throw MalformedGraph(at_byte("a field number of more than 29 bits", position));
        }
        Field field = {key >> 3, static_cast<unsigned>(key & 7), 0, 0};
        if (field.number == 0) {
            throw MalformedGraph(at_byte("field number 0", position));
        }
        if (field.wire == wire_varint) {
            field.value = varint(position, end);
            field.stop = position;
            return field;
        }
        uint64_t length = field.wire == wire_fixed32 ? 4 : 8;
        if (field.wire == wire_bytes) {
            length = varint(position, end);
        } else if (field.wire != wire_fixed32 && field.wire != wire_fixed64) {
            throw MalformedGraph(at_byte(("wire type " + std::to_string(field.wire)).c_str(), position));
        }
        if (length > end - position) {
            throw MalformedGraph(at_byte("it ends inside a field", position));
        }
        field.value = position;
        position += static_cast<size_t>(length);
        field.stop = position;
        return field;
    }

    // Up to 10 bytes carry up to 70 bits. A number beyond 64 keeps its low bits and gets the highest set: it is then
    // beyond every limit.
    uint64_t varint(size_t &position, size_t end) const {
        uint64_t value = 0;
        for (int shift = 0; shift < 70; shift += 7) {
            if (position >= end) {
                throw MalformedGraph(at_byte("it ends inside a number", position));
            }
            const uint8_t byte = data_[position++];
            const uint64_t bits = byte & 0x7F;
            value |= bits << shift;
            if (shift == 63 && bits > 1) {
                value |= uint64_t{1} << 63;
            }
            if (byte < 0x80) {
                return value;
            }
        }
        throw MalformedGraph(at_byte("a number of more than 10 bytes", position));
    }

    static uint64_t version(const Field &field) {
        if (field.wire != wire_varint) {
            throw MalformedGraph("a version is not an integer");
        }
        return field.value;
    }

    std::string text(const Field &field) const {
        if (field.wire != wire_bytes) {
            throw MalformedGraph("a name is not text");
        }
        const auto start = static_cast<size_t>(field.value);
        const std::string_view bytes(reinterpret_cast<const char *>(data_) + start, field.stop - start);
        if (!flowtell_core::is_utf8(bytes)) {
            throw MalformedGraph(at_byte("a name is not UTF-8", start));
        }
        return flowtell_core::shortened(bytes);
    }

    // One dimension (a varint) or several (packed into one field).
    void read_dims(const Field &field, Shape &shape) const {
        if (field.wire == wire_varint) {
            add_dim(field.value, shape);
        } else if (field.wire == wire_bytes) {
            for (auto position = static_cast<size_t>(field.value); position < field.stop;) {
                add_dim(varint(position, field.stop), shape);
            }
        } else {
            throw MalformedGraph("a dimension is not an integer");
        }
    }

    static void add_dim(uint64_t dimension, Shape &shape) {
        if (++shape.rank > max_rank) {
            throw MalformedGraph("a tensor of more than " + std::to_string(max_rank) + " dimensions");
        }
        // a negative dimension arrives as 2**64 minus its size and fails here too
        if (dimension != 0 && shape.elements > max_elements / dimension) {
            throw MalformedGraph("a tensor of more than " + std::to_string(max_elements) + " elements");
        }
        shape.elements *= dimension;
    }

    const uint8_t *data_;
    size_t size_;
    GraphFacts facts_;
    int fields_ = 0;
};

} // namespace

flowtell_core::GraphFacts flowtell_core::graph_facts_from_bytes(const uint8_t *data, size_t size) {
    return Walk(data, size).facts();
}
