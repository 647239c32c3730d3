// Graph: approximate nearest neighbours of unit vectors by hnswlib (Malkov and Yashunin, 2016). graph.cpp is the only
// place that knows the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace miao::search {

// Rows of floats, one below the other. They stand here once: the graph holds their numbers only.
struct Rows {
  int64_t dim = 0;
  std::vector<float> data;

  int64_t count() const { return static_cast<int64_t>(data.size()) / dim; }
  const float* row(int64_t i) const { return data.data() + i * dim; }
};

// In one fixed order, so that a score depends on the two vectors alone.
float dot(const float* a, const float* b, int64_t dim);

class Graph {
 public:
  // Over the first rows of `rows`, which outlives the graph and may grow. Errors: out_of_memory, invalid (too many).
  static Result<Graph> create(const Rows& rows, int64_t capacity);
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  ~Graph();

  int64_t size() const;  // rows in it
  Result<void> reserve(int64_t capacity);
  // The next row; one caller at a time, so that the same rows always give the same graph.
  Result<void> add();
  // Row numbers of about the `count` nearest, in no order. Any number of callers at a time.
  std::vector<int64_t> nearest(const float* query, size_t count) const;

  std::string bytes() const;
  // corrupt: links that no graph over these rows can have. What it accepts can be walked safely, whoever wrote it.
  static Result<Graph> parse(std::span<const std::byte> bytes, const Rows& rows);

 private:
  struct State;
  explicit Graph(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace miao::search
