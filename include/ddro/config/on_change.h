// What another value of a key means for a run that resumes, and for one that has ended.
#pragma once

namespace ddro::config {

enum class OnChange {
  kNothing,   // of the training: where files go, what is logged, when is evaluated
  kBits,      // the same run to rounding
  kCourse,    // the steps to come are others; those that were made stay
  kOrder,     // refused: the order of the samples would change
  kMeaning,   // refused unless --allow-change=data says so: the same rows become other examples
  kResolved,  // what the key resolves to is compared in its place: contents, hashes, numbers of steps
};

}  // namespace ddro::config
