#include "data/parquet_rows.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "data/column_rows.h"

namespace ddro::data {
namespace {

constexpr std::int64_t kMostBatchRows = 256;
constexpr std::int64_t kBatchBytes = std::int64_t{32} << 20;
constexpr std::int64_t kBufferBytes = std::int64_t{1} << 20;  // of each column

constexpr ColumnFormat kParquet = {"Parquet data", "damaged, cut off or encrypted", "row groups"};

void collect_leaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const parquet::arrow::SchemaField& child : field.children) collect_leaves(child, leaves);
}

std::vector<int> chosen_leaves(const parquet::arrow::SchemaManifest& manifest, const ChooseColumns& choose) {
  arrow::FieldVector fields;
  for (const parquet::arrow::SchemaField& column : manifest.schema_fields) fields.push_back(column.field);
  std::vector<int> leaves;
  for (const int column : choose(fields))
    collect_leaves(manifest.schema_fields[static_cast<size_t>(column)], leaves);
  return leaves;
}

// So many rows that their columns take about kBatchBytes, by what the file says of its size.
std::int64_t batch_rows(const parquet::FileMetaData& file, const std::vector<int>& leaves) {
  double bytes = 0;
  for (int group = 0; group < file.num_row_groups(); ++group) {
    const std::unique_ptr<parquet::RowGroupMetaData> columns = file.RowGroup(group);
    for (const int leaf : leaves)
      bytes += static_cast<double>(columns->ColumnChunk(leaf)->total_uncompressed_size());
  }
  const double row_bytes = bytes / static_cast<double>(std::max<std::int64_t>(file.num_rows(), 1));
  return static_cast<std::int64_t>(std::clamp(static_cast<double>(kBatchBytes) / std::max(row_bytes, 1.0),
                                              1.0, static_cast<double>(kMostBatchRows)));
}

ColumnBatches open_file(const std::string& path, const ChooseColumns& choose) {
  parquet::ReaderProperties buffered(bounded_memory());
  buffered.enable_buffered_stream();
  buffered.set_buffer_size(kBufferBytes);
  buffered.set_page_checksum_verification(true);  // of pages that have one
  parquet::ArrowReaderProperties properties;
  properties.set_pre_buffer(false);
  parquet::arrow::FileReaderBuilder builder;
  require(builder.Open(value_of(arrow::io::ReadableFile::Open(path)), buffered));
  builder.properties(properties)->memory_pool(bounded_memory());
  const std::shared_ptr<parquet::arrow::FileReader> reader = value_of(builder.Build());
  const parquet::FileMetaData& file = *reader->parquet_reader()->metadata();
  const std::vector<int> leaves = chosen_leaves(reader->manifest(), choose);
  reader->set_batch_size(batch_rows(file, leaves));
  std::vector<int> row_groups(static_cast<size_t>(reader->num_row_groups()));
  std::iota(row_groups.begin(), row_groups.end(), 0);
  return {.source = reader,
          .reader = value_of(reader->GetRecordBatchReader(row_groups, leaves)),
          .num_rows = file.num_rows(),
          .are_checked = true};
}

}  // namespace

std::unique_ptr<RowReader> open_parquet(const std::string& path,
                                        const std::map<std::string, std::string>& columns) {
  return open_columns(path, columns, kParquet,
                      [&](const ChooseColumns& choose) { return open_file(path, choose); });
}

}  // namespace ddro::data
