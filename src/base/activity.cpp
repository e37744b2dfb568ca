#include "ddro/base/activity.h"

namespace ddro {
namespace {

thread_local std::atomic<Activity> activity_now{Activity::kPreparing};

}  // namespace

Doing::Doing(Activity activity) : before_(activity_now.exchange(activity, std::memory_order_relaxed)) {}

Doing::~Doing() { activity_now.store(before_, std::memory_order_relaxed); }

const std::atomic<Activity>& own_activity() { return activity_now; }

}  // namespace ddro
