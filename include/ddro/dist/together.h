// Work of which each rank does its own part, and that is done when all are.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ddro/dist/communicator.h"

namespace ddro::dist {

// Runs `work` on each rank and waits for the others, however long they take. By rank, what it returned; an
// Error that it ended with on any of them is thrown on all, that of the first of them. In any thread, beside
// what the ranks do otherwise; one at a time.
std::vector<std::string> together(const Communicator& ranks, const std::function<std::string()>& work);

}  // namespace ddro::dist
