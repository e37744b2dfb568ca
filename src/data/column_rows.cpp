#include "data/column_rows.h"

#include <arrow/api.h>
#include <arrow/memory_pool.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <exception>
#include <set>

#include "data/arrow_values.h"
#include "data/data_files.h"
#include "data/layouts.h"
#include "data/messages.h"
#include "ddro/base/error.h"
#include "ddro/base/interruption.h"

namespace ddro::data {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;

Json fields_at(const arrow::RecordBatch& columns, std::int64_t row, const std::vector<std::string>& unread) {
  Json fields = Json::object();
  for (int i = 0; i < columns.num_columns(); ++i)
    fields[columns.column_name(i)] = value_at(*columns.column(i), row);
  for (const std::string& name : unread) fields[name] = nullptr;
  return fields;
}

class ColumnRows : public RowReader {
 public:
  ColumnRows(const std::string& path, const std::map<std::string, std::string>& columns,
             const ColumnFormat& format, const OpenColumns& open)
      : path_(shown_path(path)), format_(format) {
    guarded(
        [&] { batches_ = open([&](const arrow::FieldVector& fields) { return choose(fields, columns); }); });
  }

  bool next(RawRow& row) override {
    row = {};
    guarded([&] { find_next(); });
    if (!batch_) return false;
    row.where = path_ + ": row " + std::to_string(++num_read_);
    row.column_bytes = static_cast<size_t>(row_bytes_);
    row.fields = [columns = batch_, at = next_++, unread = unread_] {
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
      throw input_error("[data] " + path_ + ": the " + format_.data + behind_row() + " take more than " +
                        std::to_string(kMostBytes >> 20) +
                        " MB of memory at a time, or are damaged; write smaller " + format_.parts +
                        ", or JSON lines");
    } catch (const Error&) {
      throw;
    } catch (const std::exception& failure) {
      problem = printable(failure.what(), 300);
    }
    throw input_error("[data] " + path_ + ": the " + format_.data + " are " + format_.damaged + behind_row() +
                      "; " + problem);
  }

  std::string behind_row() const { return num_read_ > 0 ? " behind row " + std::to_string(num_read_) : ""; }

  // The names of those that are not read are kept.
  std::vector<int> choose(const arrow::FieldVector& fields,
                          const std::map<std::string, std::string>& columns) {
    std::vector<int> chosen;
    std::vector<std::string> unread;
    std::set<std::string> seen;
    for (size_t i = 0; i < fields.size(); ++i) {
      const std::string& name = fields[i]->name();
      const bool is_named = std::any_of(columns.begin(), columns.end(),
                                        [&](const auto& column) { return column.second == name; });
      if (!seen.insert(name).second)
        throw input_error("[data] " + path_ + ": two columns are named " + quoted(name));
      if (is_named || is_row_field(name)) {
        require_readable(*fields[i]);
        chosen.push_back(static_cast<int>(i));
      } else {
        unread.push_back(name);
      }
    }
    unread_ = std::make_shared<const std::vector<std::string>>(std::move(unread));
    return chosen;
  }

  void require_readable(const arrow::Field& column) const {
    if (is_readable(*column.type())) return;
    throw input_error("[data] " + path_ + ": the column " + quoted(column.name()) + " is of type " +
                      printable(column.type()->ToString(), 100) +
                      "; expected text, numbers or booleans, or lists or structs of these");
  }

  // To the batch that holds the next row; behind the last one there is none.
  void find_next() {
    while (!batch_ || next_ == batch_->num_rows()) {
      leave_if_interrupted();
      batch_ = value_of(batches_.reader->Next());
      next_ = 0;
      if (!batch_) return require_all_rows();
      if (!batches_.are_checked) require(batch_->ValidateFull());
      const std::int64_t bytes = value_of(arrow::util::ReferencedBufferSize(*batch_));
      row_bytes_ = bytes / std::max<std::int64_t>(batch_->num_rows(), 1);
    }
  }

  void require_all_rows() const {
    if (num_read_ == batches_.num_rows.value_or(num_read_)) return;
    throw Damaged{"the columns end after " + std::to_string(num_read_) + " of " +
                  std::to_string(*batches_.num_rows) + " rows"};
  }

  std::string path_;
  ColumnFormat format_;
  ColumnBatches batches_;
  std::shared_ptr<const std::vector<std::string>> unread_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::int64_t row_bytes_ = 0;
  std::int64_t next_ = 0;  // row of the batch
  std::int64_t num_read_ = 0;
};

}  // namespace

// Batches outlive their reader: so does this.
arrow::MemoryPool* bounded_memory() {
  static arrow::CappedMemoryPool pool(arrow::default_memory_pool(), kMostBytes);
  return &pool;
}

void require(const arrow::Status& status) {
  if (status.IsOutOfMemory()) throw TooLarge{};
  if (!status.ok()) throw Damaged{printable(status.message(), 300)};
}

std::unique_ptr<RowReader> open_columns(const std::string& path,
                                        const std::map<std::string, std::string>& columns,
                                        const ColumnFormat& format, const OpenColumns& open) {
  return std::make_unique<ColumnRows>(path, columns, format, open);
}

}  // namespace ddro::data
