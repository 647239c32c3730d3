// Sections of the HTML page of a bench (html.cpp).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "measure/report.h"

namespace miao::measure {

std::string encode_section(const BenchReport& report);
std::string seq2seq_section(const BenchReport& report);
std::string speed_section(const BenchReport& report);
std::string limits_section(const BenchReport& report);
std::string latency_section(const LatencyReport& report);

// The settings in which the rows differ, without those of `but`: "batch 16, threads 2"; empty where none do.
std::string what_differs(const BenchReport& report, const BenchRow& row, std::initializer_list<std::string_view> but);

}  // namespace miao::measure
