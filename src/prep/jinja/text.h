// Text with provenance: the string value of templates. Each byte is trusted (written by the template) or not (came from
// the conversation), and stays so through slicing, concatenation and filters.
//
// Layout: the bytes, and runs (end offset, trust) in order. Most strings have one run, so that a text without runs is
// uniform: `trust_` holds for all of it. Neighbouring runs differ in trust; the last run ends at the size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace miao::prep::jinja {

class Text {
 public:
  struct Run {
    size_t end;
    bool trusted;
  };

  Text() = default;
  Text(std::string bytes, bool trusted) : bytes_(std::move(bytes)), trust_(trusted) {}

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // True when no byte came from the conversation.
  bool trusted() const { return runs_.empty() && trust_; }

  // Text from the `safe` or `escape` filter: adding plain text to it escapes that text, as in Jinja2.
  bool markup = false;

  void append(std::string_view bytes, bool trusted);
  void append(const Text& other) { append(other, 0, other.size()); }
  void append(const Text& other, size_t begin, size_t end);  // bytes [begin, end) of other
  void append_times(const Text& other, size_t times);
  void reserve(size_t bytes) { bytes_.reserve(bytes); }

  Text slice(size_t begin, size_t end) const;
  // Calls f(std::string_view bytes, bool trusted) for each run within [begin, end).
  template <class F>
  void each_run(size_t begin, size_t end, F&& f) const {
    if (begin >= end) return;
    if (runs_.empty()) {
      f(view().substr(begin, end - begin), trust_);
      return;
    }
    for (size_t r = first_run(begin); r < runs_.size() && begin < end; ++r) {
      const size_t stop = runs_[r].end < end ? runs_[r].end : end;
      f(view().substr(begin, stop - begin), runs_[r].trusted);
      begin = stop;
    }
  }

 private:
  size_t first_run(size_t offset) const;  // index of the run that holds byte `offset`

  std::string bytes_;
  bool trust_ = true;
  std::vector<Run> runs_;
};

}  // namespace miao::prep::jinja
