// Reads just enough of an ONNX file to see what it would make a runtime do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace flowtell_core {

// The bytes are not a well-formed ONNX model, or pass one of the limits in graph_facts.cpp.
class MalformedGraph : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Names of more than 200 characters are cut.
struct GraphFacts {
    std::set<uint64_t> ir_versions;            // every one stated
    std::set<uint64_t> opset_versions;         // every import's, of the model and of its local functions
    std::set<std::string> domains;             // of all nodes, local functions and imports, subgraphs included
    std::vector<std::string> external_tensors; // names of tensors whose data lies outside the file
};

// Throws MalformedGraph.
GraphFacts graph_facts_from_bytes(const uint8_t *data, size_t size);

} // namespace flowtell_core
