#include "data/row_reader.h"
#include "ddro/data/preference_row.h"
#include "ddro/data/reference_cache.h"
#include "fuzz/targets.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

void read_each_row(const std::string& path) {
  Hasher hasher;
  const auto rows = data::open_rows(path, {}, hasher);
  for (data::RawRow row; rows->next(row);) {
    expect_input_errors([&] { data::parse_row(data::fields_of(row), row.where); });
    expect_input_errors([&] { data::parse_prompt(data::fields_of(row), row.where); });
  }
}

}  // namespace

// As a list or lines of JSON, and compressed in either way.
void read_rows(std::string_view input) {
  static const TemporaryFolder folder;
  for (const char* name : {"rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst"}) {
    const auto path = folder.write(name, input);
    expect_input_errors([&] { read_each_row(path); });
  }
}

void read_reference_cache(std::string_view input) {
  static const TemporaryFolder folder;
  const auto path = folder.write("reference.logp", input);
  expect_input_errors([&] { data::ReferenceCache cache(path); });
}

}  // namespace ddro::test
