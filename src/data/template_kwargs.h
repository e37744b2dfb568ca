// What a row or a run gives its chat template besides the messages.
#pragma once

#include <optional>
#include <string>

#include "ddro/base/json.h"

namespace ddro::data {

// Why a template cannot be given these names; nothing when it can.
std::optional<std::string> problem_of_kwargs(const Json& kwargs);

// Takes `tools`, `documents` and `chat_template_kwargs` out of a row's fields: an object with all their
// names, null when there are none. Each may be JSON text. Throws BadRow (messages.h).
Json take_template_kwargs(Json& fields);

}  // namespace ddro::data
