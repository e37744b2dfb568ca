#include "config/yaml_tree.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"

namespace ddro::config {
namespace {

constexpr size_t kMaxDepth = 16;

std::string at_line(const std::string& name, int line) {
  return "[" + name + ":" + std::to_string(line) + "] ";
}

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string name) : name_(std::move(name)) {}

  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(new_node(YamlNode::Kind::kNull, mark, "?", anchor));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fail(mark, "aliases (*name) are not supported");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = new_node(YamlNode::Kind::kScalar, mark, tag, anchor);
    node.text = value;
    node.plain = tag == "?";
    add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(new_node(YamlNode::Kind::kList, mark, tag, anchor), mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(new_node(YamlNode::Kind::kMapping, mark, tag, anchor), mark);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    std::optional<YamlNode> key;  // of a mapping: read, its value is not yet
  };

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& what) const {
    throw input_error(at_line(name_, mark.line + 1) + what);
  }

  YamlNode new_node(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
                    YAML::anchor_t anchor) const {
    // The parser says "?" for a node without a tag and "!" for a quoted scalar.
    if (tag != "?" && tag != "!" && !tag.empty()) fail(mark, "tags are not supported; got " + printable(tag));
    if (anchor != YAML::NullAnchor) fail(mark, "anchors (&name) are not supported");
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    return node;
  }

  void open(YamlNode node, const YAML::Mark& mark) {
    if (open_.size() >= kMaxDepth) fail(mark, "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    open_.push_back({std::move(node), std::nullopt});
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (Open& parent = open_.back(); parent.node.kind == YamlNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      add_key(parent, std::move(node));
    } else {
      parent.node.entries.push_back({parent.key->text, parent.key->line, std::move(node)});
      parent.key.reset();
    }
  }

  void add_key(Open& parent, YamlNode key) {
    if (key.kind != YamlNode::Kind::kScalar)
      throw input_error(at_line(name_, key.line) + "a key must be a name");
    const auto& entries = parent.node.entries;
    const auto earlier = std::find_if(entries.begin(), entries.end(),
                                      [&](const YamlEntry& entry) { return entry.key == key.text; });
    if (earlier != entries.end()) {
      throw input_error(at_line(name_, key.line) + "the key \"" + printable(key.text) +
                        "\" occurs twice; first on line " + std::to_string(earlier->line));
    }
    parent.key = std::move(key);
  }

  std::string name_;
  YamlNode root_;
  std::vector<Open> open_;
};

// The parser would take some control characters for the end of the file.
void refuse_unreadable_bytes(std::string_view text, const std::string& name) {
  const auto line_of = [&](size_t offset) {
    return static_cast<int>(
               std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n')) +
           1;
  };
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos)
    throw input_error(at_line(name, line_of(invalid)) + "not valid UTF-8");
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7F;
  };
  const auto control = std::find_if(text.begin(), text.end(), is_control);
  if (control != text.end()) {
    throw input_error(at_line(name, line_of(static_cast<size_t>(control - text.begin()))) +
                      "a control character; got " + printable(std::string(1, *control)));
  }
}

}  // namespace

YamlNode parse_yaml(std::string_view text, const std::string& name) {
  refuse_unreadable_bytes(text, name);
  // The end of the input would close an open quote, the end of a document does not.
  std::istringstream stream{std::string(text) + "\n...\n"};
  TreeBuilder builder(name);
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.take_root();
    if (parser.HandleNextDocument(builder)) {
      throw input_error("[" + name + "] holds several documents; expected one");
    }
    return root;
  } catch (const YAML::Exception& error) {
    throw input_error(at_line(name, error.mark.line + 1) + "not valid YAML: " + printable(error.msg));
  }
}

}  // namespace ddro::config
