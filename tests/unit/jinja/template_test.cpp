#include "ddro/jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "ddro/base/error.h"

namespace ddro::jinja {
namespace {

using testing::HasSubstr;

bool is_any(int, std::string_view, std::string_view) { return true; }

Json messages_of(const std::string& content) {
  return Json::array({{{"role", "user"}, {"content", content}}});
}

std::string render(const std::string& source, const Json& messages = Json::array()) {
  return Template(source, "t").render({{"messages", &messages}}, 0).text;
}

// The output with what is marked put between « and ».
std::string render_marked(const std::string& source, const std::string& content) {
  const Json messages = messages_of(content);
  const Json bos = "<s>";
  const RenderedText out =
      Template(source, "t").render({{"messages", &messages, is_any}, {"bos_token", &bos}}, 0);
  std::string shown;
  size_t offset = 0;
  for (const Span& span : out.marks) {
    EXPECT_LT(span.begin, span.end);
    EXPECT_LE(offset, span.begin);
    shown += out.text.substr(offset, span.begin - offset) + "«" +
             out.text.substr(span.begin, span.end - span.begin) + "»";
    offset = span.end;
  }
  return shown + out.text.substr(offset);
}

// A template that puts `expression` where m is the content of the only message.
std::string marked(const std::string& expression, const std::string& content) {
  return render_marked("{% set m = messages[0].content %}{{ " + expression + " }}", content);
}

struct Failure {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;
};

Failure failure_of(const std::string& source, const Json& messages = Json::array()) {
  try {
    Template(source, "t").render({{"messages", &messages}}, 0);
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::kInternal, "no error"};
}

TEST(Template, MarksWhatComesFromMarkedStrings) {
  EXPECT_EQ(marked("m", "hi"), "«hi»");
  EXPECT_EQ(marked("'<' + m + '>'", "hi"), "<«hi»>");
  EXPECT_EQ(marked("bos_token ~ m ~ 1", "hi"), "<s>«hi»1");
  EXPECT_EQ(marked("'plain'", "hi"), "plain");
  EXPECT_EQ(marked("m", ""), "");
  EXPECT_EQ(render_marked("a{{ messages[0].content }}{{ messages[0].content }}b", "xy"), "a«xyxy»b");
}

TEST(Template, MarksSurviveStringFunctions) {
  EXPECT_EQ(marked("('[' + m + ']')[2:-2]", "abcd"), "«bc»");
  EXPECT_EQ(marked("('[' + m + ']')[::-1]", "äb"), "]«bä»[");
  EXPECT_EQ(marked("(' ' + m + ' ') | trim", " a "), "«a»");
  EXPECT_EQ(marked("('x' + m).lstrip('x')", "xa"), "«a»");
  EXPECT_EQ(marked("m.replace('b', '-')", "abc"), "«a»-«c»");
  EXPECT_EQ(marked("'a-b' | replace('-', m)", "+"), "a«+»b");
  EXPECT_EQ(marked("', '.join(m.split())", "a b"), "«a», «b»");
  EXPECT_EQ(marked("['x', m] | join('|')", "a"), "x|«a»");
  EXPECT_EQ(marked("m.split('b', 1)[-1] ~ '!'", "abcb"), "«cb»!");
  EXPECT_EQ(marked("('x' + m + 'y') | upper", "aß"), "X«ASS»Y");
  EXPECT_EQ(marked("('x ' + m) | title", "ab"), "X «Ab»");
  EXPECT_EQ(marked("('x' + m) | capitalize", "AB"), "X«ab»");
  EXPECT_EQ(marked("m | indent(2)", "a\nb"), "«a»\n  «b»");
  EXPECT_EQ(marked("m * 2 + '.'", "ab"), "«abab».");
  EXPECT_EQ(marked("'<%s|%5s>' % (m, m)", "ab"), "<«ab»|   «ab»>");
  EXPECT_EQ(marked("'<{}|{:>4}>'.format(m, m)", "ab"), "<«ab»|  «ab»>");
  EXPECT_EQ(marked("('<' + m) | escape", "<"), "&lt;«&lt;»");
  EXPECT_EQ(marked("m | truncate(4, true, '..', 0)", "abcdef"), "«ab»..");
  EXPECT_EQ(marked("m | list | first ~ m | last", "xyz"), "«xz»");
  EXPECT_EQ(marked("m.center(4, '.')", "ab"), ".«ab».");
  EXPECT_EQ(marked("m.splitlines() | join('/')", "a\nb"), "«a»/«b»");
  EXPECT_EQ(marked("(m.partition('=') | list)[1]", "a=b"), "«=»");
}

TEST(Template, MarksStringsInsidePrintedStructures) {
  EXPECT_EQ(marked("{'k': m} | tojson", "a\"b"), "{\"k\": \"«a\\\"b»\"}");
  EXPECT_EQ(marked("[m, 'x', 1]", "a'"), "[\"«a'»\", 'x', 1]");
  EXPECT_EQ(marked("messages[0]", "a"), "{'«role»': '«user»', '«content»': '«a»'}");
  EXPECT_EQ(render_marked("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(messages[0].content) }}", "a"),
            "<«a»>");
  EXPECT_EQ(render_marked("{% set b %}[{{ messages[0].content }}]{% endset %}{{ b[1:] }}", "a"), "«a»]");
  EXPECT_EQ(render_marked("{% filter upper %}x{{ messages[0].content }}{% endfilter %}", "a"), "X«A»");
}

// Each text is made longer where it is only if nothing else can see it.
TEST(Template, AddingLeavesItsOperandsAlone) {
  EXPECT_EQ(marked("m + 'a' + m + m", "x"), "«x»a«xx»");
  EXPECT_EQ(marked("m + 'a' ~ m", "x"), "«x»a«x»");
  EXPECT_EQ(render("{% set a = 'x' + 'y' %}{% set b = a + 'z' %}{% set c = a + a %}{{ a }} {{ b }} {{ c }}"),
            "xy xyz xyxy");
  EXPECT_EQ(render("{% for i in range(2) %}{{ 'x' + 'y' + i | string }} {% endfor %}"), "xy0 xy1 ");
  EXPECT_EQ(render("{% set l = ['a' + 'b'] %}{{ l[0] + 'c' }}{{ l[0] + 'd' }}{{ l[0] }}"), "abcabdab");
  EXPECT_EQ(render("{{ ('<' | escape) + '<' + '>' }}{{ '<' + '&' + ('>' | escape) }}"),
            "&lt;&lt;&gt;&lt;&amp;&gt;");
}

TEST(Template, DictsOfAnySizeFindTheirKeys) {
  for (const int size : {1, 7, 8, 9, 10, 40}) {
    Json message = {{"role", "user"}};
    std::string expected;
    for (int i = 1; i < size; ++i) {
      message["k" + std::to_string(i)] = i;
      expected += std::to_string(i) + " ";
    }
    const std::string source =
        "{% set m = messages[0] %}{% for i in range(1, m | length) %}{{ m['k' ~ i] }} {% endfor %}"
        "{{ m.k0 is defined }}{{ 'role' in m }}{{ m.role }}";
    EXPECT_EQ(render(source, Json::array({message})), expected + "FalseTrueuser");
  }
  EXPECT_EQ(render("{{ {1: 'a', 1.0: 'b', true: 'c', 'x': 1, 'y': 2, 'z': 3, 'u': 4, 'v': 5, 'w': 6, 's': 7,"
                   " 't': 8, 'x': 9} }}"),
            "{1: 'c', 'x': 9, 'y': 2, 'z': 3, 'u': 4, 'v': 5, 'w': 6, 's': 7, 't': 8}");
}

TEST(Template, FormatsTheGivenTime) {
  const Template dated("{{ strftime_now('%d %b %Y') }}", "t");
  EXPECT_EQ(dated.render({}, 951'782'400).text, "29 Feb 2000");
  EXPECT_TRUE(dated.mentions("strftime_now"));
  EXPECT_FALSE(dated.mentions("messages"));
  EXPECT_EQ(dated.name(), "t");
}

TEST(Template, RefusesUnknownNamesWithTheirLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\n{{ 1 | urlize }}", "[t:2] the filter urlize is not supported"},
      {"\n\n{{ 1 is prime }}", "[t:3] the test prime is not supported"},
      {"{{ [1] | map('nope') }}", "[t:1] the filter nope is not supported"},
      {"{{ [1] | selectattr('a', 'nope') }}", "[t:1] the test nope is not supported"},
      {"{{ 'a'.encode('utf-8') }}", "[t:1] the method encode is not supported"},
      {"\n{{ lipsum() }}", "[t:2] the function lipsum is not known"},
      {"{% include 'x' %}", "[t:1] the tag include is not supported here"},
      {"{% for a in b recursive %}{% endfor %}", "[t:1] a recursive loop is not supported"},
      {"{{ ''.__class__ }}", "[t:1] the attribute __class__ is not allowed"},
      {"{{ '\\N{BULLET}' }}", "[t:1] the escape \\N{...} in a string is not supported"},
      {"{% break %}", "[t:1] break outside of a loop"},
      {"a\n{{ 1 +\n }}", "[t:3] unexpected '}}', expected an expression"},
      {"{% if x %}\n", "[t:1] the template ends before endif"},
      {"{% set ns = namespace() %}{{ 'x' is sameas 'x' }}", "[t:1] sameas on a str is not supported"},
  };
  for (const auto& [source, message] : cases) {
    const Failure failure = failure_of(source);
    EXPECT_EQ(failure.kind, ErrorKind::kModel) << source;
    EXPECT_EQ(failure.message, message) << source;
  }
}

// As in jinja2, whose compiler lets conditions guard names: not in a scope within, and not in a loop's body.
TEST(Template, UnknownNamesUnderAConditionCountWhereTheyAreReached) {
  const std::vector<std::string> untaken = {
      "{% if false %}{{ x | from_json }}{% endif %}ok",
      "{% if true %}{% elif x is prime %}{% else %}{{ x | from_json }}{% endif %}ok",
      "{% if false and x | from_json %}{% endif %}ok",
      "{{ (x | from_json) if false else 'ok' }}",
      "{% if false %}{{ [1] | map('nope') | list }}{{ ''.encode() }}{% endif %}ok",
      "{% if false %}{% set y = x | from_json %}{% endif %}ok",
  };
  for (const std::string& source : untaken) EXPECT_EQ(render(source), "ok") << source;
  const std::vector<std::string> refused = {
      "{{ 'ok' if true else x | from_json }}{{ x | from_json }}",
      "{% for i in [] %}{{ i | from_json }}{% endfor %}",
      "{% if false %}{% for i in [] %}{{ i | from_json }}{% endfor %}{% endif %}",
      "{% if false %}{% macro m() %}{{ 1 | from_json }}{% endmacro %}{% endif %}",
      "{% if false %}{% set y %}{{ 1 | from_json }}{% endset %}{% endif %}",
      "{% if false %}{% filter from_json %}{% endfilter %}{% endif %}",
      "{% if false %}{% with %}{{ 1 | from_json }}{% endwith %}{% endif %}",
      "{% if true %}{{ 1 | from_json }}{% endif %}",
  };
  for (const std::string& source : refused) {
    const Failure failure = failure_of(source);
    EXPECT_EQ(failure.kind, ErrorKind::kModel) << source;
    EXPECT_EQ(failure.message, "[t:1] the filter from_json is not supported") << source;
  }
}

TEST(Template, NamesTheLineOfAnErrorAtRunTime) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\n\n{{ x.y }}", "[t:3] 'x' is undefined"},
      {"{% if true %}\n{{ 1 / 0 }}{% endif %}", "[t:2] division by zero"},
      {"{% macro m() %}\n\n{{ none + 1 }}{% endmacro %}\n{{ m() }}",
       "[t:3] unsupported operand type(s) for +: 'NoneType' and 'int'"},
      {"{{ raise_exception('no\\nway') }}", "[t:1] the template refuses the messages: no\\nway"},
      {"{{ [1].append(2) }}", "[t:1] access to attribute 'append' of 'list' object is unsafe."},
      {"{{ {}['__class__'] }}", "[t:1] the attribute __class__ is not allowed"},
      {"{{ [''] | map(attribute='__class__') | list }}", "[t:1] the attribute __class__ is not allowed"},
      {"{{ '' | attr('__class__') }}", "[t:1] the attribute __class__ is not allowed"},
  };
  for (const auto& [source, message] : cases) {
    const Failure failure = failure_of(source);
    EXPECT_EQ(failure.kind, ErrorKind::kInput) << source;
    EXPECT_EQ(failure.message, message) << source;
  }
}

// A JSON schema without "items" asks a dict for its method of that name.
TEST(Template, MethodsHaveNoAttributes) {
  EXPECT_EQ(render("{{ {}.items.type is defined }} {{ {}.items['type'] == 1 }} {{ ''.join.x }}"),
            "False False ");
  EXPECT_THAT(failure_of("{{ {}.items.type.x }}").message, HasSubstr("has no attribute 'type'"));
}

TEST(Template, DictIsItsOwnAlias) {
  EXPECT_EQ(render("{{ dict.from_keys([(1, 2)]) }} {{ dict['x'](a=1) }}"), "{1: 2} {'a': 1}");
  EXPECT_THAT(failure_of("{{ dict.fromkeys('ab') }}").message, HasSubstr("is not supported"));
}

TEST(Template, RefusesVariablesThatAreNoData) {
  EXPECT_THAT(failure_of("x", messages_of("\xff")).message, HasSubstr("not valid UTF-8"));
  Json deep = 1;
  for (int i = 0; i < 200; ++i) deep = Json::array({std::move(deep)});
  EXPECT_THAT(failure_of("x", deep).message, HasSubstr("nested deeper"));
  EXPECT_THROW(Template("\xff", "t"), Error);
}

std::string repeated(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

// Of all cases together; a single one stays under 200 MB. A sanitizer keeps what is freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr long kMostMemoryMb = 4000;
#else
constexpr long kMostMemoryMb = 400;
#endif

long peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

// The values of Python's integers.
TEST(Template, IntegersHaveAnySize) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"9223372036854775807 + 1", "9223372036854775808"},
      {"-9223372036854775807 - 2", "-9223372036854775809"},
      {"99999999999999999999", "99999999999999999999"},
      {"(-9223372036854775807 - 1) // -1", "9223372036854775808"},
      {"(-9223372036854775807 - 1) % -1", "0"},
      {"(-9223372036854775807 - 1) | abs", "9223372036854775808"},
      {"2 ** 64", "18446744073709551616"},
      {"(2 ** 64) // 3, (-(2 ** 64)) // 3, (2 ** 64) % -7, -(2 ** 64) % 7",
       "(6148914691236517205, -6148914691236517206, -5, 5)"},
      {"2 ** 64 - 2 ** 64 + 5", "5"},
      {"2 ** 64 / 2 ** 60", "16.0"},
      {"10 ** 30 / 7", "1.4285714285714285e+29"},
      {"(10 ** 30) | float", "1e+30"},
      {"'123456789012345678901234567890' | int", "123456789012345678901234567890"},
      {"1e20 | int", "100000000000000000000"},
      {"{'wei': 2 ** 64} | tojson", "{\"wei\": 18446744073709551616}"},
      {"{2 ** 64: 1} | tojson", "{\"18446744073709551616\": 1}"},
      {"[2 ** 64, -(2 ** 64)]", "[18446744073709551616, -18446744073709551616]"},
      {"'%d|%x|%X|%o' % (2 ** 64, 2 ** 64, 2 ** 68 - 1, 2 ** 66)",
       "18446744073709551616|10000000000000000|FFFFFFFFFFFFFFFFF|10000000000000000000000"},
      {"'{:,}|{:_}|{:+}|{:>25}'.format(2 ** 64, 2 ** 64, 2 ** 64, 2 ** 64)",
       "18,446,744,073,709,551,616|18_446_744_073_709_551_616|+18446744073709551616|     "
       "18446744073709551616"},
      {"'%.2e' % (2 ** 64,)", "1.84e+19"},
      {"'%d' % 1e22", "10000000000000000000000"},
      {"2 ** 64 > 2 ** 63, 2 ** 64 < 1e300, 2 ** 64 == 18446744073709551616.0, 2 ** 64 + 1 == "
       "18446744073709551616.0",
       "(True, True, True, False)"},
      {"9007199254740993 == 9007199254740992.0, 9007199254740993 > 9007199254740992.0", "(False, True)"},
      {"{2 ** 64: 'a', 18446744073709551616.0: 'b'}", "{18446744073709551616: 'b'}"},
      {"(2 ** 64) is integer, (2 ** 64) is number, (2 ** 64) is float, (2 ** 64) is even, (2 ** 64 + 1) is "
       "odd",
       "(True, True, False, True, True)"},
      {"(2 ** 64) is divisibleby 3", "False"},
      {"[2 ** 65, 1, 2 ** 64] | sort, [2 ** 64, 1] | sum, [2 ** 64, 1] | max",
       "([1, 18446744073709551616, 36893488147419103232], 18446744073709551617, 18446744073709551616)"},
      {"'abc'[:2 ** 64], 'abc'[-(2 ** 64):], 'abc'[2 ** 64:]", "('abc', 'abc', '')"},
      {"(-1) ** (2 ** 70), 0 ** (2 ** 70), 1 ** (2 ** 70)", "(1, 0, 1)"},
      {"0x1FFFFFFFFFFFFFFFFFF, 0b1" + std::string(65, '0'), "(9444732965739290427391, 36893488147419103232)"},
      {"(2 ** 64) | string ~ '!'", "18446744073709551616!"},
      {"2 ** 64 if 2 ** 64 else 0", "18446744073709551616"},
      {"-(2 ** 63), +(2 ** 64), -(-(2 ** 63))",
       "(-9223372036854775808, 18446744073709551616, 9223372036854775808)"},
      {"(2 ** 64) | round, (2 ** 64) | int", "(18446744073709551616, 18446744073709551616)"},
  };
  for (const auto& [expression, expected] : cases) {
    EXPECT_EQ(render("{{ " + expression + " }}"), expected) << expression;
  }
}

TEST(Template, IntegersOfVariablesAreExact) {
  const Json messages = parse_json_exactly(
      R"([18446744073709551616, 18446744073709551615, -9223372036854775809, 9223372036854775807, 1e2])", "t",
      ErrorKind::kInput);
  EXPECT_EQ(render("{{ messages }}", messages),
            "[18446744073709551616, 18446744073709551615, -9223372036854775809, 9223372036854775807, 100.0]");
  EXPECT_EQ(
      render("{{ messages | tojson }}{{ messages[0] - messages[1] }}", messages),
      "[18446744073709551616, 18446744073709551615, -9223372036854775809, 9223372036854775807, 100.0]1");
}

TEST(Template, BoundsHostileTemplates) {
  const std::string doubling = "{% set ns = namespace(s='a', l=[1], d={}) %}{% for i in range(1000) %}";
  const std::vector<std::string> hostile = {
      "{{ range(10**9) | list }}",
      "{{ 'a' * 10**9 }}",
      "{{ ('a' * 10**6) * 10**6 }}",
      "{{ [0] * 10**9 }}",
      "{{ 10**5000 }}",
      "{{ 10**(10**9) }}",
      "{{ 10**(10**30) }}",
      "{{ 2 ** -(10**400) }}",
      "{{ 10**400 * 1.5 }}",
      "{{ 10**400 / 3 }}",
      "{{ '%d' % (1e308 * 10) }}",
      "{{ 'a' * 10**30 }}",
      "{{ range(10**30) }}",
      "{{ " + std::string(5000, '9') + " }}",
      "{{ ('9' * 5000) | int }}",
      "{% set ns = namespace(n=3) %}{% for i in range(1000) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
      doubling + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
      doubling + "{% set ns.l = ns.l + ns.l %}{% endfor %}",
      doubling + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      doubling + "{% set ns.d = {'a': ns.d, 'b': ns.d} %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
      "ns.l }}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
      "ns.l | tojson }}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(90) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}"
      "{{ ns.l == [ns.l[0], ns.l[1]] }}{% set m = ns.l %}{{ m < [m[0], [m[1][0], m[1][1]]] }}",
      "{% set ns = namespace() %}{% set ns.me = [ns] %}{{ ns }}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro a(n) %}{{ b(n) }}{% endmacro %}{% macro b(n) %}{{ a(n) }}{% endmacro %}{{ a(1) }}",
      "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
      "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor "
      "%}{% endfor %}",
      "{% for a in range(100000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = ns.l + [i] %}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(200) %}{% set ns.l = ns.l + ['a' * 4000000 + i | "
      "string] %}{% endfor %}",
      "{{ (range(100000) | join('x' * 1000)) }}",
      "{{ ('a' * 4000000).split('a') | length }}{{ ('a' * 4000000) | list | length }}{{ ('a ' * "
      "2000000).split() | length }}",
      "{{ ('a' * 4000000).replace('a', 'b' * 1000) }}",
      "{{ ('a' * 4000000).replace('', 'b' * 1000) }}",
      "{{ '%9999999999d' % 1 }}",
      "{{ '%.999999999f' % 1 }}",
      "{{ '{:999999999}'.format(1) }}",
      "{{ 'a'.center(10**12) }}",
      "{{ 'a' | indent(10**12, true) }}",
      "{{ [1] | tojson(indent=10**12) }}",
      "{{ ['a\n' * 100000] | map('indent', 1000) | list }}",
      "{{ 'a'.zfill(10**15) }}",
      "{{ [1] | batch(10**12, 0) | list }}",
      "{{ [1] | slice(10**12) | list }}",
      "{{ strftime_now('%999999999d') }}",
      "{{ strftime_now('%Y' * 1000000) | length * 10**17 * 10**3 }}",
      "{% set d = {} %}{% set t = (1,) %}{% set ns = namespace(t=t) %}{% for i in range(80) %}{% set ns.t = "
      "(ns.t, ns.t) %}"
      "{% endfor %}{{ {ns.t: 1} }}",
      "{{ " + repeated("(", 10000) + "1" + repeated(")", 10000) + " }}",
      "{{ " + repeated("[", 10000) + " }}",
      "{{ " + repeated("-", 10000) + "1 }}",
      "{{ " + repeated("not ", 10000) + "1 }}",
      "{{ 1" + repeated(" + 1", 10000) + " }}",
      "{{ 1" + repeated(" if 1 else 2", 10000) + " }}",
      "{{ x" + repeated(".a", 10000) + " }}",
      "{{ x" + repeated("[0]", 10000) + " }}",
      "{{ x" + repeated("|string", 10000) + " }}",
      "{{ x" + repeated("()", 10000) + " }}",
      "{{ x" + repeated(" is defined and x", 10000) + " }}",
      repeated("{% if true %}", 10000),
      repeated("{% for a in b %}", 10000),
      repeated("{% set a %}", 10000),
      repeated("{% macro a() %}", 10000),
      "{% for " + repeated("(", 10000) + "a in b %}{% endfor %}",
      "{% set " + repeated("(", 10000) + "a = b %}",
      "{{ 'a' | attr('_'*2 ~ 'class' ~ '_'*2) }}",
      "{% for i in range(100000) %}{% set ns = namespace(a=namespace()) %}{% for j in 'ab' %}{{ loop.length "
      "}}{% endfor %}{% endfor %}",
      "{% for i in range(100000) %}{% for j in [[1, 2], 3] %}{{ loop.last }}{% set x = range(100000) %}{% "
      "endfor %}{% endfor %}",
      std::string(3 << 20, 'x'),
  };
  constexpr double kMostSeconds = 5;  // half a second on a quiet machine
  for (const std::string& source : hostile) {
    const auto begin = std::chrono::steady_clock::now();
    const Failure failure = failure_of(source);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    EXPECT_NE(failure.kind, ErrorKind::kInternal) << source.substr(0, 200);
    EXPECT_LT(taken.count(), kMostSeconds) << source.substr(0, 200);
  }
  EXPECT_LT(peak_memory_mb(), kMostMemoryMb);
}

TEST(Template, OrdinaryTemplatesStayFarFromTheLimits) {
  Json messages = Json::array();
  for (int i = 0; i < 1000; ++i) {
    messages.push_back(
        {{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", std::string(1000, 'x') + "\n"}});
  }
  const std::string out = render(
      "{% for m in messages %}{% if m.role == 'user' or loop.last %}{{ '<|im_start|>' + m['role'] }}{% endif "
      "%}"
      "{{ m.content | trim }}{{ '<|im_end|>\\n' }}{% endfor %}",
      messages);
  EXPECT_GT(out.size(), 1'000'000U);
}

}  // namespace
}  // namespace ddro::jinja
