#include "ddro/run/completion_json.h"

namespace ddro::run {

Json completion_json(const data::Prompt& prompt, const generate::Completion& completion) {
  Json object;
  std::visit([&](const auto& content) { object["prompt"] = content; }, prompt.content);
  object["completion"] = completion.text;
  object["finished"] = completion.finished;
  object["logp"] = completion.logp;
  return object;
}

}  // namespace ddro::run
