// A text cut into the sets of a search, in stripes: each set has parts of all of the text, and a set's parts lie as far
// from each other as its share allows.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace miao::compress {

enum Set : uint8_t { kCalibration, kSearch, kVerify, kFinal };
constexpr size_t kSets = 4;
constexpr std::array<const char*, kSets> kSetNames = {"calibration", "search", "verification", "final"};

// `shares`: of each set, adding up to 1. Cuts are made behind line ends where one is near, else behind spaces.
std::array<std::string, kSets> split_text(std::string_view text, const std::array<double, kSets>& shares);

// The set of each of so many items: every set has its share of them, spread over all.
std::vector<Set> split_items(size_t items, const std::array<double, kSets>& shares);

}  // namespace miao::compress
