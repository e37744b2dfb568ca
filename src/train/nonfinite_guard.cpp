#include "ddro/train/nonfinite_guard.h"

#include <algorithm>

namespace ddro::train {
namespace {

constexpr std::int64_t kMaxConsecutive = 5;
constexpr std::int64_t kWindow = 1000;
constexpr size_t kMaxInWindow = 10;

}  // namespace

NonFiniteGuard::Verdict NonFiniteGuard::record_non_finite(std::int64_t step) {
  ++consecutive_;
  ++total_;
  std::erase_if(recent_, [&](std::int64_t earlier) { return earlier <= step - kWindow; });
  recent_.push_back(step);
  if (consecutive_ >= kMaxConsecutive || recent_.size() > kMaxInWindow) return Verdict::kGiveUp;
  return consecutive_ == 2 ? Verdict::kSkipAndDump : Verdict::kSkip;
}

Json NonFiniteGuard::state() const {
  return {{"consecutive", consecutive_}, {"total", total_}, {"recent", recent_}};
}

void NonFiniteGuard::load(const Json& state) {
  consecutive_ = state.at("consecutive").get<std::int64_t>();
  total_ = state.at("total").get<std::int64_t>();
  recent_ = state.at("recent").get<std::vector<std::int64_t>>();
}

}  // namespace ddro::train
