// Data on stdout: buffered writes, one place for what happens when the reader goes away or the disk is full.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace miao::cli {

class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}
  // When the reader has closed its end, write and flush end the process by SIGPIPE, quietly as any Unix tool.
  void write(std::string_view bytes);
  void line(std::string_view text);  // with a line break
  Result<void> flush();              // io: the first error of any write so far; it stays

 private:
  void drain();

  int fd_;
  int error_ = 0;  // errno
  std::string buffer_;
};

Output& out();  // stdout

}  // namespace miao::cli
