// Templates that are wrong or hostile: each must end in an Error that names its line or its budget, soon and in little
// memory. Further refusals, compared with jinja2's, are in the golden files.
#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "prep/chat_template.h"

namespace miao::prep {
namespace {

std::string times(std::string_view part, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += part;
  return all;
}

// {% set aN = 1 %} for N below count.
std::string names(int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += "{% set a" + std::to_string(i) + " = 1 %}";
  return all;
}

std::string parameters(int count) {
  std::string all = "p";
  for (int i = 0; i < count; ++i) all += ", a" + std::to_string(i);
  return all;
}

// Parses and renders; the Error, or one with an empty message when all went well.
Error outcome(std::string_view source, double cpu_seconds = ChatLimits{}.cpu_seconds) {
  auto parsed = ChatTemplate::parse(source, "t");
  if (!parsed.ok()) return parsed.error();
  ChatInput input;
  input.messages = {{.role = "user", .content = "hello"}};
  input.limits.cpu_seconds = cpu_seconds;
  auto rendered = parsed->render(input);
  return rendered.ok() ? Error{} : rendered.error();
}

struct Bad {
  const char* source;
  int line;
  const char* message;  // part of it
};

const Bad kBad[] = {
    {"{{ }}", 1, "expected an expression"},
    {"a\n{{ 1 + }}", 2, "expected an expression"},
    {"{{ (1 }}", 1, "unexpected '}'"},
    {"{{ 1) }}", 1, "unexpected ')'"},
    {"{% if true %}\nx", 1, "add {% endif %}"},
    {"\n\n{% for x in y %}", 3, "add {% endfor %}"},
    {"{% endif %}", 1, "unknown tag 'endif'"},
    {"{% frobnicate %}", 1, "unknown tag 'frobnicate'"},
    {"{% for x y %}{% endfor %}", 1, "expected 'in'"},
    {"{{ 'open", 1, "string is not closed"},
    {"{{ open", 1, "add }}"},
    {"{% if", 1, "add %}"},
    {"x\n{# open", 2, "comment is not closed"},
    {"{% raw %}", 1, "raw block is not closed"},
    {"{% include 'x' %}", 1, "'include' is not supported"},
    {"{% import 'x' as y %}", 1, "'import' is not supported"},
    {"{% from 'x' import y %}", 1, "'from' is not supported"},
    {"{% extends 'x' %}", 1, "'extends' is not supported"},
    {"{% autoescape true %}{% endautoescape %}", 1, "'autoescape' is not supported"},
    {"{% for x in y recursive %}{% endfor %}", 1, "recursive loops are not supported"},
    {"{% for x in [1] %}{{ loop([1]) }}{% endfor %}", 1, "recursive loops are not supported"},
    {"{{ 1 | nope }}", 1, "no filter named 'nope'"},
    {"{{ 1 is nope }}", 1, "no test named 'nope'"},
    {"{% if true %}{{ 1 | nope }}{% endif %}", 1, "no filter named 'nope'"},
    {"{% break %}", 1, "outside of a loop"},
    {"{% set 1 = 2 %}", 1, "expected a name"},
    {"{% set true = 2 %}", 1, "cannot assign to 'true'"},
    {"{% set messages.x = 2 %}", 1, "non-namespace"},
    {"{% for loop in [1] %}{% endfor %}", 1, "cannot assign to 'loop'"},
    {"{% macro m(a, a) %}{% endmacro %}", 1, "appears twice"},
    {"{% macro m(a=1, b) %}{% endmacro %}", 1, "without default"},
    {"{{ f(a=1, 2) }}", 1, "out of order"},
    {"{{ dict(a=1, **{'a': 2}) }}", 1, "twice"},
    {"{{ '\\ud800' }}", 1, "not a Unicode character"},
    {"{{ '\\x1' }}", 1, "bad \\ escape"},
    {"{{ '\\N{DASH}' }}", 1, "not supported"},
    {"{{ 99999999999999999999 }}", 1, "64 bits"},
    {"{{ 1e999 }}", 1, "out of range"},
    {"{{ 012 }}", 1, "may not start with 0"},
    {"{{ 9223372036854775807 + 1 }}", 1, "64 bits"},
    {"{{ -9223372036854775807 - 2 }}", 1, "64 bits"},
    {"{{ 9223372036854775807 * 2 }}", 1, "64 bits"},
    {"{{ 2 ** 64 }}", 1, "64 bits"},
    {"{{ (-9223372036854775807 - 1) // -1 }}", 1, "64 bits"},
    {"{{ (-9223372036854775807 - 1)|abs }}", 1, "64 bits"},
    {"{{ -(-9223372036854775807 - 1) }}", 1, "64 bits"},
    {"{{ 1e30|int }}", 1, "64 bits"},
    {"{{ 5 // 0 }}", 1, "division by zero"},
    {"{{ 5 % 0 }}", 1, "division by zero"},
    {"{{ 5 / 0 }}", 1, "division by zero"},
    {"{{ 5.0 % 0 }}", 1, "division by zero"},
    {"{{ 0 ** -1 }}", 1, "division by zero"},
    {"{{ 5 is divisibleby(0) }}", 1, "division by zero"},
    {"{{ [1, 2] | slice(0) | list }}", 1, "division by zero"},
    {"{{ 'abc'[::0] }}", 1, "step cannot be zero"},
    {"{{ range(1, 2, 0) }}", 1, "step must not be zero"},
    {"{{ nope.x }}", 1, "'nope' is undefined"},
    {"{{ messages.x.y }}", 1, "no attribute 'x'"},
    {"{{ ''.__class__.__mro__ }}", 1, "unsafe"},
    {"{{ ''['__class__']['__mro__'] }}", 1, "unsafe"},
    {"{{ (''|attr('__class__')).x }}", 1, "unsafe"},
    {"{{ [].__class__.__base__.__subclasses__() }}", 1, "unsafe"},
    {"{{ '{0.__class__.__mro__}'.format('') }}", 1, "unsafe"},
    {"{{ range.__globals__['os'] }}", 1, "unsafe"},
    {"{{ messages.append(1) }}", 1, "not allowed"},
    {"{{ messages[0].pop('role') }}", 1, "not allowed"},
    {"{{ namespace(__x=1) }}", 1, "underscore"},
    {"{{ 1 < 'a' }}", 1, "no order"},
    {"{{ 1 + 'a' }}", 1, "cannot compute int + str"},
    {"{{ {[]: 1} }}", 1, "unhashable"},
    {"{{ none|length }}", 1, "no len()"},
    {"{{ 5|list }}", 1, "not iterable"},
    {"{{ 'a'() }}", 1, "not callable"},
    {"{{ 'a'.upper(1) }}", 1, "takes at most 0 arguments"},
    {"{{ 'a'.replace('b') }}", 1, "needs 2 arguments"},
    {"{{ 'a'.strip(x=1) }}", 1, "no parameter 'x'"},
    {"{{ '%d' % 'x' }}", 1, "integer"},
    {"{{ '{}'.format() }}", 1, "not enough arguments"},
    {"{% set a, b = [1] %}", 1, "cannot unpack"},
    {"{{ cycler() }}", 1, "at least one item"},
    {"{{ undefined_thing | tojson }}", 1, "'undefined_thing' is undefined"},
    {"{{ range | tojson }}", 1, "not JSON serializable"},
};

TEST(BadTemplates, EachNamesItsLine) {
  EXPECT_GE(std::size(kBad), size_t{60});
  for (const Bad& bad : kBad) {
    const Error error = outcome(bad.source);
    EXPECT_NE(error.message.find(bad.message), std::string::npos) << bad.source << "\ngave: " << error.str();
    EXPECT_EQ(error.where, "t:" + std::to_string(bad.line)) << bad.source;
    EXPECT_EQ(error.message.find('\n'), std::string::npos) << bad.source;
  }
}

struct Bomb {
  std::string source;
  const char* budget;  // part of the message
};

std::vector<Bomb> bombs() {
  const std::string doubling = "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}";
  const std::string lists = "{% set ns = namespace(x=[1], y=[1]) %}";
  const std::string pairs =
      "{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}";
  return {
      // nesting of the source
      {"{{ " + times("(", 100000) + " }}", "nested deeper"},
      {"{{ " + times("[", 100000) + " }}", "nested deeper"},
      {"{{ " + times("(", 120) + "1" + times(")", 120) + times("|abs", 300) + " }}", "nested deeper"},
      {"{{ " + times("- ", 100000) + "1 }}", "nested deeper"},
      {"{{ " + times("not ", 100000) + "1 }}", "nested deeper"},
      {"{{ 1" + times(" + 1", 100000) + " }}", "nested deeper"},
      {"{{ x" + times(".a", 100000) + " }}", "nested deeper"},
      {"{{ x" + times("[0]", 100000) + " }}", "nested deeper"},
      {"{{ x" + times("()", 100000) + " }}", "nested deeper"},
      {"{{ x" + times("|e", 100000) + " }}", "nested deeper"},
      {"{{ 1" + times(" if 1 else 1", 50000) + " }}", "nested deeper"},
      {"{{ 1" + times(" or 1", 100000) + " }}", "nested deeper"},
      {"{{ 1" + times(" ** 1", 100000) + " }}", "nested deeper"},
      {times("{% if 1 %}", 100000), "nested deeper"},
      {times("{% for x in y %}", 5000), "nested deeper"},
      {times("{% macro m() %}", 5000), "nested deeper"},
      {"{% set " + times("(", 5000) + "a" + times(")", 5000) + " = 1 %}", "nested deeper"},
      {"{{ " + times("{1:", 5000) + " }}", "nested deeper"},
      {"{{ [" + times("1,", 120000) + "] }}", "nodes"},
      {times("{{1}}", 120000), "nodes"},
      {times("a", (1 << 20) + 1), "larger than"},
      {names(5000), "more than 4096 names"},
      {"{% macro m(" + parameters(300) + ") %}{% endmacro %}", "at most 256 parameters"},
      // calls
      {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested macro calls"},
      {"{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "nested macro calls"},
      {"{% macro m() %}" + times("{% if 1 %}", 60) + "{{ m() }}" + times("{% endif %}", 60) + "{% endmacro %}{{ m() }}",
       "open nodes"},
      {"{% macro m(n) %}{{ m(n) if n }}{{ m(n) if n }}{% endmacro %}{{ m(1) }}", "budget"},
      {"{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}", "budget"},
      {"{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ "
       "n() }}",
       "nested macro calls"},
      // work
      {"{{ range(10**9) }}", "100000 items"},
      {"{{ range(-9223372036854775807, 9223372036854775807) }}", "100000 items"},
      {"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "budget"},
      {"{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "budget"},
      {"{% for a in range(1000) %}{{ range(100000)|list|length }}{% endfor %}", "steps"},
      {"{% for a in range(1000) %}{{ range(100000)|sum }}{% endfor %}", "steps"},
      {"{{ (range(100000)|list + range(100000)|list) }}", "items for one list"},
      {"{{ ([1] * 100000) * 100000 }}", "items for one list"},
      {"{{ [1] * 9223372036854775807 }}", "items for one list"},
      {"{{ range(100000)|batch(10**12, 1)|list }}", "items for one list"},
      {"{{ [1]|batch(10**12, 1)|list }}", "items for one list"},
      {"{{ [1]|slice(10**12)|list }}", "items for one list"},
      {"{% for i in range(100000) %}{{ 99999 in range(100000) }}{% endfor %}", "steps"},
      {"{% for i in range(100000) %}{{ range(100000)|list|sort|first }}{% endfor %}", "steps"},
      // text
      {"{{ 'a' * 10**9 }}", "bytes for one string"},
      {"{{ 'a' * 9223372036854775807 }}", "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = ns.x|replace('a', 'aa') %}{% endfor %}", "steps"},
      {doubling + "{% for i in range(64) %}{% set ns.x = ns.x|replace('', ns.x) %}{% endfor %}",
       "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}", "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = '{0}{0}'.format(ns.x) %}{% endfor %}", "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = [ns.x, ns.x]|join(ns.x) %}{% endfor %}",
       "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = ns.x.join([ns.x, ns.x]) %}{% endfor %}",
       "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = [ns.x, ns.x]|string %}{% endfor %}", "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = [ns.x, ns.x]|tojson %}{% endfor %}", "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
       "bytes for one string"},
      {doubling + "{% for i in range(64) %}{% set ns.x = (ns.x + ns.x + '&')|forceescape %}{% endfor %}", "budget"},
      {doubling + "{% for i in range(64) %}{% set ns.x = (ns.x + ns.x + '&')|urlencode %}{% endfor %}", "budget"},
      {"{{ 'a'|center(10**12) }}", "bytes for one string"},
      {"{{ 'a'.ljust(10**12) }}", "bytes for one string"},
      {"{{ 'a'.zfill(10**12) }}", "bytes for one string"},
      {"{{ 'a'|indent(10**12, true) }}", "bytes for one string"},
      {"{{ '%999999999s' % 'a' }}", "bytes for one string"},
      {"{{ '%*s' % (10**12, 'a') }}", "bytes for one string"},
      {"{{ '{:999999999}'.format('a') }}", "bytes for one string"},
      {"{{ '{:99999999999999999999}'.format('a') }}", "too large"},
      {"{{ '%.999999999f' % 1.5 }}", "too large"},
      {"{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% "
       "endfor %}",
       "output"},
      {"{% set a = 'a' * 1000000 %}{% for i in range(10000) %}{{ {'a': 1, a: 2}[a] }}{% endfor %}", "budget"},
      {"{% set a = 'a' * 1000000 %}{% for i in range(10000) %}{{ a.find('aab') }}{% endfor %}", "budget"},
      {"{% set a = 'a' * 500000 %}{{ (a + a).find(a + 'b') }}{{ (a + a).rfind('b' + a) }}{{ (a + a).rsplit('b' + a) | "
       "length }}{{ raise_exception('linear') }}",
       "linear"},
      // values
      {lists + pairs + "{{ ns.x == ns.y }}", "budget"},
      {lists + pairs + "{{ ns.x }}", "bytes for one string"},
      {lists + pairs + "{{ ns.x|tojson }}", "bytes for one string"},
      {lists + pairs + "{{ ns.x|string|length }}", "bytes for one string"},
      {lists + pairs + "{{ {ns.x: 1} }}", "unhashable"},
      {lists + "{% for i in range(100) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}", "unhashable"},
      {lists + "{% for i in range(200) %}{% set ns.x = [ns.x] %}{% endfor %}", "nested values"},
      {lists + "{% for i in range(200) %}{% set ns.x = {'a': ns.x} %}{% endfor %}", "nested values"},
      {lists + "{% for i in range(200) %}{% set ns.x = cycler(ns.x) %}{% endfor %}", "nested"},
      {lists + "{% for i in range(200) %}{% set ns.x = joiner(ns.x) %}{% endfor %}", "nested"},
      {lists + "{% set ns.me = ns %}{{ ns }}", "too deeply"},
      {lists + "{% set ns.me = [ns] %}{{ ns.me }}", "too deeply"},
      {lists + "{% set ns.me = [ns] %}{{ ns.me|tojson }}", "not JSON serializable"},
  };
}

// With the default limits a bomb is over after 0.1 s of rendering; the bound here leaves room for slow builds. A slow
// build may also run out of time before it reaches the budget that ends it elsewhere.
TEST(BadTemplates, BombsEndSoonInABudgetError) {
  for (const Bomb& bomb : bombs()) {
    const clock_t start = clock();
    const Error error = outcome(bomb.source);
    const double seconds = static_cast<double>(clock() - start) / CLOCKS_PER_SEC;
    const std::string head = bomb.source.substr(0, 160);
    const bool named = error.message.find(bomb.budget) != std::string::npos;
    EXPECT_TRUE(named || error.message.find("ms of CPU time") != std::string::npos)
        << head << "\ngave: " << error.str();
    EXPECT_TRUE(error.where.starts_with("t")) << head << "\ngave: " << error.str();
    EXPECT_LT(error.str().size(), size_t{400}) << head;
    EXPECT_LT(seconds, 1.0) << head;
  }
}

// Reference circles are taken apart at the end of a render (the leak checker of the sanitizer build watches).
TEST(BadTemplates, CirclesAreFreed) {
  for (const char* source : {
           "{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.list = [ns, {'a': ns}] %}ok",
           "{% set ns = namespace() %}{% macro m() %}{{ ns }}{% endmacro %}{% set ns.m = m %}ok",
           "{% set ns = namespace() %}{% for i in [1, 2] %}{% set ns.l = loop %}{{ loop.changed([loop]) }}{% endfor "
           "%}ok",
           "{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{% set k = m %}{% endfor %}ok",
           "{% set ns = namespace(p=none) %}{% for i in range(20000) %}{% set ns.p = namespace(q=ns.p) %}{% endfor "
           "%}ok",
           "{% set ns = namespace(p=none) %}{% for i in range(9000) %}{% set q = ns.p %}{% macro m() %}{{ q }}{% "
           "endmacro %}{% set ns.p = m %}{% endfor %}ok",
           "{% set ns = namespace(p=[0]) %}{% for i in range(5000) %}{% for y in [ns.p] %}{% set ns.p = loop %}{% "
           "endfor %}{% endfor %}ok",
       }) {
    const Error error = outcome(source, 20);  // sanitizer builds are slow
    EXPECT_EQ(error.message, "") << source;
  }
}

TEST(BadTemplates, LimitsAreTheCallers) {
  auto t = ChatTemplate::parse("{% for i in range(1000) %}{{ i }} {% endfor %}", "t");
  ASSERT_TRUE(t.ok());
  ChatInput input;
  EXPECT_TRUE(t->render(input).ok());
  input.limits.steps = 500;
  EXPECT_NE(t->render(input).error().message.find("500 steps"), std::string::npos);
  input.limits = {};
  input.limits.output_bytes = 100;
  EXPECT_NE(t->render(input).error().message.find("100 bytes"), std::string::npos);
  input.limits = {};
  input.limits.list_items = 999;
  EXPECT_NE(t->render(input).error().message.find("999 items"), std::string::npos);
  input.limits = {};
  input.limits.cpu_seconds = 0;
  EXPECT_NE(t->render(input).error().message.find("CPU time"), std::string::npos);
}

}  // namespace
}  // namespace miao::prep
