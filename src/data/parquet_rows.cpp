#include "data/parquet_rows.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/memory_pool.h>
#include <arrow/util/byte_size.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/properties.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "data/arrow_values.h"
#include "data/data_files.h"
#include "data/layouts.h"
#include "data/messages.h"
#include "ddro/base/error.h"
#include "ddro/base/interruption.h"

namespace ddro::data {
namespace {

constexpr std::int64_t kMostBatchRows = 256;
constexpr std::int64_t kBatchBytes = std::int64_t{32} << 20;
constexpr std::int64_t kBufferBytes = std::int64_t{1} << 20;  // of each column
constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;  // of what is read at a time, of all files

// A few KB can say that a text of many MB is that of every row. Batches outlive their reader: so does this.
arrow::MemoryPool* bounded_memory() {
  static arrow::CappedMemoryPool pool(arrow::default_memory_pool(), kMostBytes);
  return &pool;
}

// Arrow's failures as exceptions, so that one place puts the file's name in front.
struct Damaged {
  std::string problem;
};
struct TooLarge {};

void require(const arrow::Status& status) {
  if (status.IsOutOfMemory()) throw TooLarge{};
  if (!status.ok()) throw Damaged{printable(status.message(), 300)};
}

template <typename T>
T value_of(arrow::Result<T> result) {
  require(result.status());
  return std::move(result).ValueUnsafe();
}

void collect_leaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const parquet::arrow::SchemaField& child : field.children) collect_leaves(child, leaves);
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

// The columns of a file that rows are made of, a part of the rows.
struct Batch {
  std::shared_ptr<arrow::RecordBatch> columns;
  std::int64_t row_bytes = 0;
};

Json fields_at(const arrow::RecordBatch& columns, std::int64_t row, const std::vector<std::string>& unread) {
  Json fields = Json::object();
  for (int i = 0; i < columns.num_columns(); ++i)
    fields[columns.column_name(i)] = value_at(*columns.column(i), row);
  for (const std::string& name : unread) fields[name] = nullptr;
  return fields;
}

class ParquetRows : public RowReader {
 public:
  ParquetRows(const std::string& path, const std::map<std::string, std::string>& columns)
      : path_(shown_path(path)) {
    guarded([&] { open(path, columns); });
  }

  bool next(RawRow& row) override {
    row = {};
    guarded([&] { find_next(); });
    if (!batch_.columns) return false;
    row.where = path_ + ": row " + std::to_string(++num_read_);
    row.column_bytes = static_cast<size_t>(batch_.row_bytes);
    row.fields = [columns = batch_.columns, at = next_++, unread = unread_] {
      return fields_at(*columns, at, *unread);
    };
    return true;
  }

 private:
  // Arrow reports most damage by its status, some by exceptions (no memory for a size that a file lies
  // about).
  template <typename Action>
  void guarded(const Action& action) const {
    std::string problem;
    try {
      return action();
    } catch (const Damaged& damage) {
      problem = damage.problem;
    } catch (const TooLarge&) {
      throw input_error("[data] " + path_ + ": the Parquet data" + behind_row() + " take more than " +
                        std::to_string(kMostBytes >> 20) +
                        " MB of memory at a time, or are damaged; write smaller row groups, or JSON lines");
    } catch (const Error&) {
      throw;
    } catch (const std::exception& failure) {
      problem = printable(failure.what(), 300);
    }
    throw input_error("[data] " + path_ + ": the Parquet data are damaged, cut off or encrypted" +
                      behind_row() + "; " + problem);
  }

  std::string behind_row() const { return num_read_ > 0 ? " behind row " + std::to_string(num_read_) : ""; }

  void open(const std::string& path, const std::map<std::string, std::string>& columns) {
    parquet::ReaderProperties buffered(bounded_memory());
    buffered.enable_buffered_stream();
    buffered.set_buffer_size(kBufferBytes);
    buffered.set_page_checksum_verification(true);  // of pages that have one
    parquet::ArrowReaderProperties properties;
    properties.set_pre_buffer(false);
    parquet::arrow::FileReaderBuilder builder;
    require(builder.Open(value_of(arrow::io::ReadableFile::Open(path)), buffered));
    builder.properties(properties)->memory_pool(bounded_memory());
    reader_ = value_of(builder.Build());
    const parquet::FileMetaData& file = *reader_->parquet_reader()->metadata();
    num_rows_ = file.num_rows();
    const std::vector<int> leaves = choose_columns(columns);
    reader_->set_batch_size(batch_rows(file, leaves));
    std::vector<int> row_groups(static_cast<size_t>(reader_->num_row_groups()));
    std::iota(row_groups.begin(), row_groups.end(), 0);
    batches_ = value_of(reader_->GetRecordBatchReader(row_groups, leaves));
  }

  // The leaves of the columns to read; the names of the others are kept.
  std::vector<int> choose_columns(const std::map<std::string, std::string>& columns) {
    std::vector<int> leaves;
    std::vector<std::string> unread;
    std::set<std::string> seen;
    for (const parquet::arrow::SchemaField& field : reader_->manifest().schema_fields) {
      const std::string& name = field.field->name();
      const bool is_named = std::any_of(columns.begin(), columns.end(),
                                        [&](const auto& column) { return column.second == name; });
      if (!seen.insert(name).second)
        throw input_error("[data] " + path_ + ": two columns are named " + quoted(name));
      if (is_named || is_row_field(name)) {
        require_readable(*field.field);
        collect_leaves(field, leaves);
      } else {
        unread.push_back(name);
      }
    }
    unread_ = std::make_shared<const std::vector<std::string>>(std::move(unread));
    return leaves;
  }

  void require_readable(const arrow::Field& column) const {
    if (is_readable(*column.type())) return;
    throw input_error("[data] " + path_ + ": the column " + quoted(column.name()) + " is of type " +
                      printable(column.type()->ToString(), 100) +
                      "; expected text, numbers or booleans, or lists or structs of these");
  }

  // To the batch that holds the next row; behind the last one there is none.
  void find_next() {
    while (!batch_.columns || next_ == batch_.columns->num_rows()) {
      leave_if_interrupted();
      batch_.columns = value_of(batches_->Next());
      next_ = 0;
      if (!batch_.columns) return require_all_rows();
      const std::int64_t bytes = value_of(arrow::util::ReferencedBufferSize(*batch_.columns));
      batch_.row_bytes = bytes / std::max<std::int64_t>(batch_.columns->num_rows(), 1);
    }
  }

  void require_all_rows() const {
    if (num_read_ == num_rows_) return;
    throw Damaged{"the columns end after " + std::to_string(num_read_) + " of " + std::to_string(num_rows_) +
                  " rows"};
  }

  std::string path_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::RecordBatchReader> batches_;  // destroyed before its reader
  std::shared_ptr<const std::vector<std::string>> unread_;
  Batch batch_;
  std::int64_t next_ = 0;  // row of the batch
  std::int64_t num_read_ = 0;
  std::int64_t num_rows_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> open_parquet(const std::string& path,
                                        const std::map<std::string, std::string>& columns) {
  return std::make_unique<ParquetRows>(path, columns);
}

}  // namespace ddro::data
