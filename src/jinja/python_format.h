// Text out of values: '%s' % value, '{}'.format(value), the escapes of HTML.
#pragma once

#include "jinja/machine.h"
#include "jinja/objects.h"

namespace ddro::jinja {

Value format_percent(Machine& machine, const MarkedText& format, const Value& arguments);
Value format_braces(Machine& machine, const MarkedText& format, const Arguments& arguments);
MarkedText escape_html(const MarkedText& source);

// `text` in a field of `width` code points; `align` is one of < > ^ or c, which is str.center.
MarkedText pad(Machine& machine, const MarkedText& text, std::int64_t width, char align,
               std::string_view fill = " ");

}  // namespace ddro::jinja
