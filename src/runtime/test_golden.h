// For golden tests: how far outputs are from an oracle's, checked and noted.
//
//   Difference d;
//   d.add(want, got);                 // row by row
//   expect_close(case, file, d);      // within 1e-5 of the oracle's largest value
//
// Where MIAO_CONFORMANCE names a folder, each comparison leaves a line of JSON there: tools/gen_conformance.py makes
// docs/conformance.md of them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/env.h"
#include "base/file.h"
#include "base/json.h"
#include "kernels/kernels.h"

namespace miao::runtime {

// The manifest of a folder of golden models.
inline Json golden_manifest(const std::filesystem::path& folder) {
  auto text = read_file(folder / "manifest.json");
  EXPECT_TRUE(text.ok());
  auto json = parse_json(*text, "manifest.json");
  EXPECT_TRUE(json.ok());
  return *json;
}

// The instruction sets of this processor.
inline std::vector<std::string> isas() {
  const kernels::Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  const int n = kernels::available(cpu_features(), tables);
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i) out.emplace_back(tables[i]->name);
  return out;
}

struct Difference {
  double worst = 0, largest = 0;

  void add(std::span<const float> want, std::span<const float> got) {
    ASSERT_EQ(want.size(), got.size());
    for (size_t i = 0; i < want.size(); ++i) {
      largest = std::max(largest, std::fabs(double{want[i]}));
      const double difference = std::fabs(double{want[i]} - double{got[i]});
      worst = difference <= worst ? worst : difference;  // keeps a NaN
    }
  }
};

// `golden` is the case in its manifest, `file` what was loaded. `listed`: it counts in the table, which is of FP32.
inline void expect_close(const Json& golden, const std::filesystem::path& file, const Difference& d,
                         bool listed = true) {
  constexpr double kTolerance = 1e-5;
  EXPECT_LE(d.worst, kTolerance * d.largest) << "largest " << d.largest;
  const auto folder = env("MIAO_CONFORMANCE");
  if (!folder || !listed) return;
  const Json line = {{"architecture", golden["architecture"]},
                     {"case", golden["name"]},
                     {"format", file.extension() == ".gguf" ? "GGUF" : "safetensors"},
                     {"worst", d.worst / d.largest}};
  std::ofstream(std::filesystem::path(*folder) / (std::to_string(::getpid()) + ".jsonl"), std::ios::app)
      << line.dump() << '\n';
}

}  // namespace miao::runtime
