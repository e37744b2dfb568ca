// What GPUs are sold to do.
#pragma once

#include <optional>
#include <string_view>

namespace ddro::train {

// Operations a second of bfloat16 products with float32 sums, without sparsity, by the data sheet of the
// device that the driver calls so; nothing for devices that are not listed.
std::optional<double> data_sheet_rate(std::string_view device_name);

}  // namespace ddro::train
