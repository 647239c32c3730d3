// HTML escaping as markupsafe does it.
#pragma once

#include "prep/jinja/text.h"

namespace miao::prep::jinja {

// & < > ' " become entities; the result is marked as markup and keeps provenance.
Text escaped(const Text& text);

}  // namespace miao::prep::jinja
