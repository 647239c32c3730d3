// What a report of a search says, in sentences and tables: the same for HTML and Markdown.
#pragma once

#include <string>
#include <vector>

#include "compress/compress.h"
#include "compress/compress_report.h"
#include "measure/page.h"

namespace miao::compress {

struct FactTable {
  std::vector<measure::Cell> head;
  std::vector<std::vector<measure::Cell>> rows;  // empty where the report has nothing of it
};

const Candidate* chosen_of(const CompressReport& report);  // nullptr where no candidate was built
std::string headline(const CompressReport& report);        // "model.gguf keeps its budgets"
std::string verdict(const CompressReport& report);         // one sentence: by what
std::string title_of(const CompressReport& report);        // the model's name

FactTable comparison(const CompressReport& report);  // the base and the result
FactTable budgets(const CompressReport& report);
FactTable statistics(const CompressReport& report);  // of the chosen, on the sets that it was measured on
FactTable sets(const CompressReport& report);
FactTable candidates(const CompressReport& report);
FactTable references(const CompressReport& report);
FactTable front_points(const CompressReport& report, const std::vector<Allocation>& front);  // some of them
FactTable mixes(const CompressReport& report);             // random ones: predicted, measured
FactTable times(const CompressReport& report);             // types, by kind of matrix
std::string times_in_words(const CompressReport& report);  // what the figures of times() are
FactTable keys_and_values(const CompressReport& report);   // types that they may have
FactTable latency(const CompressReport& report);           // over the lengths of inputs
FactTable types(const CompressReport& report);             // of the chosen: how many matrices, how large
FactTable matrix_types(const CompressReport& report);      // of the chosen: layers and kinds of matrices

std::string additivity(const CompressReport& report);
std::string machine(const CompressReport& report, const ReportContext& context);
std::string origin(const CompressReport& report, const ReportContext& context);  // model, version, date
std::vector<std::string> energy(const CompressReport& report, const ReportContext& context);

// Matrices in their layers: rows of a table whose columns are kinds; those outside of layers have rows of their own.
struct MatrixGrid {
  struct Row {
    std::string name;
    std::vector<const MatrixLoss*> cells;  // one for each column (nullptr: none), or a single one outside of layers
    bool outside = false;
  };
  std::vector<std::string> kinds;  // "attn_q"
  std::vector<Row> rows;
};
MatrixGrid grid_of(const CompressReport& report);

// Losses and times over which candidates, references and fronts are drawn. Seconds are those of a request.
const measure::Metric* loss_metric(const CompressReport& report, const Candidate& candidate);  // nullptr without
double loss_of(const CompressReport& report, const Candidate& candidate);                      // measured; 0 without
double seconds_of(const Candidate& candidate, const Request& request);                         // measured; 0 without
bool is_control(const Reference& reference);  // no one would take it: it shows what the ranking is worth

}  // namespace miao::compress
