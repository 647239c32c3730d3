// Records of items, to the JSON of a store and back. Errors: corrupt for JSON of another form.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "measure/quality.h"

namespace miao::compress {

Json to_json(const measure::TextRecords& records);
Result<measure::TextRecords> text_records_of(const Json& json);
Json to_json(const measure::VectorRecords& records);
Result<measure::VectorRecords> vector_records_of(const Json& json);
Json to_json(const measure::PairRecords& records);
Result<measure::PairRecords> pair_records_of(const Json& json);
Json to_json(const measure::AnswerRecords& records);
Result<measure::AnswerRecords> label_records_of(const Json& json);

}  // namespace miao::compress
