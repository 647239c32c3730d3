// A trie over bytes: cheap to build, quick to walk. Walks are bounded: a text of kMaxText bytes is the longest it
// takes, so that a search from every place of a long text stays linear whatever a file lists.
//
//   node      {value, the byte that leads to node + 1}: a text's new nodes follow one another, so most edges are here
//   edges     {node, byte} -> node in one hash table: the branches
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/tok/vocab.h"

namespace miao::prep {

class Trie {
 public:
  static constexpr size_t kMaxText = 256;       // bytes; texts in use have under 100
  static constexpr size_t kMaxNodes = 1 << 24;  // the largest vocabularies in use need 4 million

  Trie() { root_.fill(-1); }
  // A text that is there already takes the new value. unsupported: past the limits above.
  Result<void> insert(std::string_view text, int32_t value) {
    if (text.size() > kMaxText) {
      return Error{Code::unsupported, "\"" + std::string(text.substr(0, 40)) + "...\" has " +
                                          std::to_string(text.size()) + " bytes; texts to search for have at most " +
                                          std::to_string(kMaxText)};
    }
    if (nodes_.size() + text.size() > kMaxNodes) {
      return Error{Code::unsupported,
                   "the texts to search for need more than " + std::to_string(kMaxNodes) + " trie nodes"};
    }
    int32_t node = kRoot;
    for (char c : text) node = child(node, static_cast<uint8_t>(c));
    nodes_[static_cast<size_t>(node)].value = value;
    return {};
  }
  bool empty() const { return nodes_.size() == 1; }

  static constexpr int32_t kRoot = 0;
  int32_t next(int32_t node, char c) const {  // -1: no such edge
    const auto byte = static_cast<uint8_t>(c);
    if (node == kRoot) return root_[byte];
    const Node& n = nodes_[static_cast<size_t>(node)];
    if (n.follower == byte) return node + 1;
    return n.branches ? find(node, byte) : -1;
  }
  // Bytes of the longest text that begins `text`; 0: none does.
  size_t longest(std::string_view text) const {
    size_t best = 0;
    int32_t node = kRoot;
    for (size_t i = 0; i < text.size() && (node = next(node, text[i])) >= 0; ++i) {
      if (value(node) >= 0) best = i + 1;
    }
    return best;
  }
  int32_t value(int32_t node) const { return nodes_[static_cast<size_t>(node)].value; }  // -1: no text ends here

 private:
  struct Node {
    int32_t value = -1;
    int16_t follower = -1;  // the byte that leads to the next node
    bool branches = false;  // other edges, in `edges_`
  };
  struct Edge {
    uint64_t key = 0;
    int32_t node = -1;
  };
  static uint64_t key_of(int32_t node, uint8_t byte) { return static_cast<uint64_t>(node) << 8 | byte; }
  size_t place_of(uint64_t key) const { return hash_.of(key) & (edges_.size() - 1); }

  int32_t find(int32_t node, uint8_t byte) const {
    const uint64_t key = key_of(node, byte);
    for (size_t i = place_of(key);; i = (i + 1) & (edges_.size() - 1)) {
      if (edges_[i].key == key) return edges_[i].node;
      if (edges_[i].node < 0) return -1;
    }
  }
  int32_t child(int32_t node, uint8_t byte) {
    if (const int32_t found = next(node, static_cast<char>(byte)); found >= 0) return found;
    const auto made = static_cast<int32_t>(nodes_.size());
    nodes_.emplace_back();
    if (node == kRoot) {
      root_[byte] = made;
    } else if (made == node + 1) {
      nodes_[static_cast<size_t>(node)].follower = byte;
    } else {
      nodes_[static_cast<size_t>(node)].branches = true;
      branch({key_of(node, byte), made});
    }
    return made;
  }
  void branch(const Edge& edge) {
    if ((used_ + 1) * 3 > edges_.size() * 2) {
      std::vector<Edge> old(std::bit_ceil(edges_.size() * 2 + 16));
      old.swap(edges_);
      for (const Edge& e : old) {
        if (e.node >= 0) place(e);
      }
    }
    place(edge);
    ++used_;
  }
  void place(const Edge& edge) {
    size_t i = place_of(edge.key);
    while (edges_[i].node >= 0) i = (i + 1) & (edges_.size() - 1);
    edges_[i] = edge;
  }

  HashKey hash_ = HashKey::of_process();
  std::array<int32_t, 256> root_;
  std::vector<Node> nodes_{1};
  std::vector<Edge> edges_;
  size_t used_ = 0;
};

}  // namespace miao::prep
