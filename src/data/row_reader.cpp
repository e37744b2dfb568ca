#include "data/row_reader.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "data/arrow_rows.h"
#include "data/byte_reader.h"
#include "data/data_files.h"
#include "data/file_formats.h"
#include "data/messages.h"
#include "data/parquet_rows.h"
#include "ddro/base/error.h"
#include "ddro/base/interruption.h"

namespace ddro::data {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlanks = " \t\r\n";

// A file's text, a piece at a time.
class Text {
 public:
  Text(const std::string& path, Hasher& hasher)
      : bytes_(open_bytes(path, hasher)), path_(shown_path(path)), buffer_(kBufferBytes) {}

  const std::string& path() const { return path_; }

  // What is read and not yet taken; at the end nothing. Throws Unreadable.
  std::string_view rest() {
    if (begin_ == end_) {
      leave_if_interrupted();
      begin_ = 0;
      end_ = bytes_->read(buffer_);
    }
    return {buffer_.data() + begin_, end_ - begin_};
  }
  void take(size_t bytes) { begin_ += bytes; }

  void skip_byte_order_mark() {
    if (rest().starts_with(kByteOrderMark)) take(kByteOrderMark.size());
  }
  // The next character that is not blank, not taken; 0 at the end.
  char skip_blanks() {
    for (std::string_view text = rest(); !text.empty(); text = rest()) {
      const size_t at = text.find_first_not_of(kBlanks);
      take(std::min(at, text.size()));
      if (at != std::string_view::npos) return text[at];
    }
    return '\0';
  }

 private:
  std::unique_ptr<ByteReader> bytes_;
  std::string path_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Adds to a row's text, up to the most that a row may have.
void append(RawRow& row, std::string_view text) {
  if (!row.unusable && row.text.size() + text.size() > kMaxRowBytes) {
    row.unusable = "the row has more than " + std::to_string(kMaxRowBytes >> 20) + " MB";
    std::string().swap(row.text);
  }
  if (!row.unusable) row.text.append(text);
}

// Takes no text.
RawRow unwanted() {
  RawRow row;
  row.unusable.emplace();
  return row;
}

class TextRows : public RowReader {
 public:
  explicit TextRows(Text text) : text_(std::move(text)) {}

  bool next(RawRow& row) final {
    row.text.clear();
    row.unusable.reset();
    row.unterminated = false;
    try {
      return read(row);
    } catch (const Unreadable& failure) {
      throw input_error("[data] " + place() + ": " + failure.problem);
    }
  }

 protected:
  virtual bool read(RawRow& row) = 0;
  virtual std::string place() const = 0;  // of the row that is being read

  Text text_;
  std::int64_t number_ = 1;  // of that row
};

class Lines : public TextRows {
 public:
  using TextRows::TextRows;

 protected:
  bool read(RawRow& row) override {
    if (number_ == 1) text_.skip_byte_order_mark();
    while (read_line(row)) {
      row.where = place();
      ++number_;
      if (row.unusable || row.text.find_first_not_of(kBlanks) != std::string::npos) return true;
    }
    return false;
  }
  std::string place() const override { return text_.path() + ":" + std::to_string(number_); }

 private:
  bool read_line(RawRow& row) {
    for (RawRow rest = unwanted(); in_line_;) in_line_ = !text_.rest().empty() && !read_part(rest);
    row.text.clear();
    row.unusable.reset();
    row.unterminated = !text_.rest().empty();
    const bool any = row.unterminated;
    while (row.unterminated && !row.unusable && !text_.rest().empty()) row.unterminated = !read_part(row);
    in_line_ = row.unterminated && row.unusable;
    if (in_line_) row.unterminated = false;  // nobody knows yet
    return any;
  }

  // Adds what is there of the line; true if that is its end.
  bool read_part(RawRow& row) {
    const std::string_view text = text_.rest();
    const size_t newline = text.find('\n');
    append(row, text.substr(0, newline));
    text_.take(newline == std::string_view::npos ? text.size() : newline + 1);
    return newline != std::string_view::npos;
  }

  bool in_line_ = false;  // that has been given up: the rest of it is still to be read
};

// Where the items of a list end: at a comma or the list's end that stands in no item and no string.
class ItemEnd {
 public:
  // Its place in `text`, which goes on with the item; npos when it is not in there.
  size_t find(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
      if (in_string_) {
        i = skip_string(text, i);
      } else if (ends(text[i])) {
        return i;
      }
    }
    return std::string_view::npos;
  }

 private:
  bool ends(char c) {
    switch (c) {
      case '"':
        in_string_ = true;
        return false;
      case '{':
      case '[':
        ++depth_;
        return false;
      case '}':
      case ']':
        return depth_ == 0 ? c == ']' : (--depth_, false);
      default:
        return c == ',' && depth_ == 0;
    }
  }

  // The last character of the string, or of `text`.
  size_t skip_string(std::string_view text, size_t i) {
    for (; i < text.size(); ++i) {
      const char c = text[i];
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
        break;
      }
    }
    return i;
  }

  std::int64_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

class Items : public TextRows {
 public:
  using TextRows::TextRows;

 protected:
  bool read(RawRow& row) override {
    if (number_ == 1) enter();
    for (RawRow rest = unwanted(); in_item_;) read_part(rest);
    if (ended_) return false;
    item_ = ItemEnd();
    in_item_ = true;
    while (in_item_ && !row.unusable) read_part(row);
    row.where = place();
    ++number_;
    return true;
  }
  std::string place() const override { return text_.path() + ": row " + std::to_string(number_); }

 private:
  void enter() {
    if (ended_) return;
    text_.skip_byte_order_mark();
    text_.skip_blanks();
    text_.take(1);
    if (text_.skip_blanks() == ']') leave();
  }

  // Adds what is there of the item, and goes on behind its end.
  void read_part(RawRow& row) {
    const std::string_view text = text_.rest();
    if (text.empty()) throw Unreadable{"the file ends within its list and may be cut off"};
    const size_t end = item_.find(text);
    append(row, text.substr(0, end));
    text_.take(std::min(end, text.size()));
    in_item_ = end == std::string_view::npos;
    if (in_item_) return;
    if (text_.rest().front() == ']') {
      leave();
    } else {
      text_.take(1);
    }
  }

  void leave() {
    text_.take(1);
    ended_ = true;
    if (text_.skip_blanks() != '\0' || !text_.rest().empty())
      throw Unreadable{"there is text behind the end of the file's list"};
  }

  ItemEnd item_;
  bool in_item_ = false;  // of an item that has been given up, the rest is still to be read
  bool ended_ = false;
};

// For formats that are not read from front to back.
void hash_whole(const std::string& path, Hasher& hasher) {
  const std::unique_ptr<ByteReader> bytes = open_bytes(path, hasher);
  std::vector<char> buffer(kBufferBytes);
  while (bytes->read(buffer) > 0) leave_if_interrupted();
}

Json parse(const std::string& text) {
  static const std::string kParser = "row";
  try {
    return parse_json_exactly(text, kParser, ErrorKind::kInput);
  } catch (const Error& error) {
    throw BadRow{std::string(error.what()).substr(kParser.size() + 3)};
  }
}

bool begins_with_list(Text& text) {
  std::string_view rest = text.rest();
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  const size_t first = rest.find_first_not_of(kBlanks);
  return first != std::string_view::npos && rest[first] == '[';
}

}  // namespace

std::unique_ptr<RowReader> open_rows(const std::string& path,
                                     const std::map<std::string, std::string>& columns, Hasher& hasher) {
  try {
    const FileKind kind = file_kind(path);
    if (kind == FileKind::kParquet || kind == FileKind::kArrow) {
      hash_whole(path, hasher);
      return kind == FileKind::kParquet ? open_parquet(path, columns) : open_arrow(path, columns);
    }
    Text text(path, hasher);
    if (begins_with_list(text)) return std::make_unique<Items>(std::move(text));
    return std::make_unique<Lines>(std::move(text));
  } catch (const Unreadable& failure) {
    throw input_error("[data] " + shown_path(path) + ": " + failure.problem);
  }
}

Json fields_of(const RawRow& row) {
  try {
    if (row.unusable) throw BadRow{*row.unusable};
    return row.fields ? row.fields() : parse(row.text);
  } catch (const BadRow& bad) {
    throw input_error("[data] " + row.where + ": " + bad.problem);
  }
}

}  // namespace ddro::data
