#include "text/post_processor.h"

namespace ddro::text {
namespace {

PostProcessor read_template(const Component& component) {
  component.expect_only({"single", "pair", "special_tokens"});
  PostProcessor result;
  const Component special_tokens = component.child("special_tokens");
  int sequences = 0;
  for (const Component& piece : component.children("single")) {
    piece.expect_only({"Sequence", "SpecialToken"});
    if (piece.has("Sequence")) {
      const std::string id = piece.child("Sequence").text("id");
      if (id != "A") piece.refuse("sequence: got \"" + printable(id) + "\", expected \"A\"");
      ++sequences;
      continue;
    }
    const std::string name = piece.child("SpecialToken").text("id");
    if (!special_tokens.has(name.c_str()))
      piece.refuse("special token \"" + printable(name) + "\" is not listed");
    const Component token = special_tokens.child(name.c_str());
    const Value& ids = token.at("ids");
    if (!ids.is_array()) token.refuse("ids: expected a list");
    for (const Value& id : ids) {
      (sequences == 0 ? result.prefix : result.suffix).push_back(token_id(id, token.place() + ".ids"));
    }
  }
  if (sequences != 1) component.refuse("the template for one text must name it once");
  return result;
}

TokenId read_pair(const Component& component, const char* field) {
  const Value& pair = component.at(field);
  if (!pair.is_array() || pair.size() != 2) component.refuse(std::string(field) + ": expected [token, id]");
  return token_id(pair[1], component.place() + "." + field);
}

}  // namespace

PostProcessor read_post_processor(const Component& component) {
  const std::string type = component.type();
  PostProcessor result;
  if (type == "ByteLevel") {
    component.expect_only({"add_prefix_space", "trim_offsets", "use_regex"});
  } else if (type == "TemplateProcessing") {
    result = read_template(component);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    component.expect_only({"sep", "cls", "trim_offsets", "add_prefix_space"});
    result.prefix = {read_pair(component, "cls")};
    result.suffix = {read_pair(component, "sep")};
  } else if (type == "Sequence") {
    component.expect_only({"processors"});
    for (const Component& child : component.children("processors")) {
      const PostProcessor outer = read_post_processor(child);
      result.prefix.insert(result.prefix.begin(), outer.prefix.begin(), outer.prefix.end());
      result.suffix.insert(result.suffix.end(), outer.suffix.begin(), outer.suffix.end());
    }
  } else {
    component.refuse("unknown post-processor \"" + printable(type) + "\"");
  }
  return result;
}

}  // namespace ddro::text
