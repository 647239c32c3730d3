// What a search shows: a ranked list for people, or a line of JSON.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "search/index.h"

namespace miao::cli {

// Rank, score, place, the other fields of JSON lines where there are any, and the text in one line.
std::string results_table(std::span<const search::Found> found);
std::string results_json(const std::string& query, std::span<const search::Found> found, bool approximate);

}  // namespace miao::cli
