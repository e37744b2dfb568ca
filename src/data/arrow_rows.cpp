#include "data/arrow_rows.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>

#include <string_view>
#include <vector>

#include "data/column_rows.h"

namespace ddro::data {
namespace {

constexpr ColumnFormat kArrow = {"Arrow data", "damaged or cut off", "record batches"};
constexpr std::string_view kFileMagic = "ARROW1";
constexpr std::string_view kEndOfStream{"\xff\xff\xff\xff\0\0\0\0", 8};

arrow::ipc::IpcReadOptions options_for(std::vector<int> columns) {
  arrow::ipc::IpcReadOptions options;
  options.memory_pool = bounded_memory();
  options.use_threads = false;
  options.included_fields = std::move(columns);
  return options;
}

// The batches of a file, which are read by their numbers.
class FileBatches : public arrow::RecordBatchReader {
 public:
  explicit FileBatches(std::shared_ptr<arrow::ipc::RecordBatchFileReader> file) : file_(std::move(file)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return file_->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (next_ == file_->num_record_batches()) {
      batch->reset();
      return arrow::Status::OK();
    }
    return file_->ReadRecordBatch(next_++).Value(batch);
  }

 private:
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_;
  int next_ = 0;
};

std::shared_ptr<arrow::RecordBatchReader> open_batches(arrow::io::ReadableFile& file, bool is_stream,
                                                       std::vector<int> columns) {
  const arrow::ipc::IpcReadOptions options = options_for(std::move(columns));
  require(file.Seek(0));
  if (is_stream) return value_of(arrow::ipc::RecordBatchStreamReader::Open(&file, options));
  return std::make_shared<FileBatches>(value_of(arrow::ipc::RecordBatchFileReader::Open(&file, options)));
}

std::string read_at(arrow::io::ReadableFile& file, std::int64_t begin, std::string_view like) {
  return value_of(file.ReadAt(begin, static_cast<std::int64_t>(like.size())))->ToString();
}

void require_end(arrow::io::ReadableFile& file) {
  const auto size = static_cast<std::int64_t>(kEndOfStream.size());
  const std::int64_t begin = value_of(file.GetSize()) - size;
  if (begin < 0 || read_at(file, begin, kEndOfStream) != kEndOfStream)
    throw Damaged{"the mark of the stream's end is missing"};
}

// Batches without their columns: to Arrow none that are chosen are all of them.
class BareBatches : public arrow::RecordBatchReader {
 public:
  explicit BareBatches(std::shared_ptr<arrow::RecordBatchReader> batches) : batches_(std::move(batches)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return arrow::schema({}); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    ARROW_RETURN_NOT_OK(batches_->ReadNext(batch));
    if (*batch) *batch = arrow::RecordBatch::Make(schema(), (*batch)->num_rows(), arrow::ArrayVector{});
    return arrow::Status::OK();
  }

 private:
  std::shared_ptr<arrow::RecordBatchReader> batches_;
};

ColumnBatches open_file(const std::string& path, const ChooseColumns& choose) {
  const std::shared_ptr<arrow::io::ReadableFile> file =
      value_of(arrow::io::ReadableFile::Open(path, bounded_memory()));
  const bool is_stream = read_at(*file, 0, kFileMagic) != kFileMagic;
  if (is_stream) require_end(*file);
  const std::vector<int> columns = choose(open_batches(*file, is_stream, {})->schema()->fields());
  auto batches = open_batches(*file, is_stream, columns);
  if (columns.empty()) batches = std::make_shared<BareBatches>(std::move(batches));
  return {.source = file, .reader = std::move(batches)};
}

}  // namespace

std::unique_ptr<RowReader> open_arrow(const std::string& path,
                                      const std::map<std::string, std::string>& columns) {
  return open_columns(path, columns, kArrow,
                      [&](const ChooseColumns& choose) { return open_file(path, choose); });
}

}  // namespace ddro::data
