// Classification of whole texts: probabilities of a model's classes.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/encoder.h"

namespace miao::runtime {

// How the outputs of a head that classifies texts become scores.
enum class ClassScale : uint8_t { softmax, logistic, none };
// Error unsupported for a model without such a head.
Result<ClassScale> class_scale(const Encoder& encoder);
void apply_scale(ClassScale scale, std::span<float> row);

struct ClassifyOptions {
  bool truncate = false;  // texts that are too long lose their end; else they are an Error
  bool raw = false;       // the head's outputs as they are
  const std::atomic<bool>* cancel = nullptr;
};

// (texts, classes) row by row, in the order of spec().head.labels. Softmax over the classes; where the configuration
// says that several may hold (problem_type multi_label_classification), or there is one only, each by itself through
// the logistic function; where it says regression, the value as it is. Error unsupported for a model without such a
// head.
Result<std::vector<float>> classify(Encoder& encoder, std::span<const std::string> texts,
                                    const ClassifyOptions& options = {});

}  // namespace miao::runtime
