// The record of one bench run and its forms: JSON, Markdown, a page of HTML with charts. A terminal table is the CLI's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "measure/bench.h"
#include "measure/encode_bench.h"
#include "measure/kernel_bench.h"
#include "measure/machine.h"
#include "measure/seq2seq_bench.h"
#include "measure/workload.h"

namespace miao::measure {

struct BenchReport {
  std::string version, date;   // "0.1.0", "2026-01-31 12:00 UTC"
  std::string model, family;   // as the user named it; "llama"
  std::string isa, dtype, kv;  // "avx512", "auto", "F16"; no kv where the model is an encoder
  double load_seconds = 0;
  runtime::MemoryReport memory;
  std::vector<runtime::KernelReport> kernels;
  Machine machine;                   // read and peaks may be empty
  std::vector<BenchRow> rows;        // of a decoder
  std::vector<EncodeRow> encodes;    // of an encoder
  std::vector<Seq2SeqRow> seq2seqs;  // of an encoder-decoder
  std::vector<LatencyReport> latency;
};

// What a reader should know before trusting the figures: a fallback kernel, a busy machine, a wide spread.
std::vector<std::string> warnings(const BenchReport& report);

// Of the JSON of `bench`. Fields may come without a new number; one that goes or changes its meaning raises it.
constexpr int kSchema = 1;

// One object with an element of "rows" for each row. The fields of a single row stand in the object itself, too.
nlohmann::ordered_json to_json(const BenchReport& report);
nlohmann::ordered_json to_json(const Machine& machine);
nlohmann::ordered_json to_json(const std::vector<KernelRow>& rows);
std::string to_markdown(const BenchReport& report);
// Self-contained: no other files; light or dark as the reader's system.
std::string to_html(const BenchReport& report);

}  // namespace miao::measure
