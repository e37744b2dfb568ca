# Writes OUTPUT, a header with the page of a report as one constant: PAGE/page.html with its style sheet and scripts
# put in place of {{style}} and {{script}}. {{data}} stays for the program to fill.
file(READ "${PAGE}/page.html" page)
file(READ "${PAGE}/style.css" style)
foreach(part chart tables page)
  file(READ "${PAGE}/${part}.js" text)
  string(APPEND script "${text}")
endforeach()
string(REPLACE "{{style}}" "${style}" page "${page}")
string(REPLACE "{{script}}" "${script}" page "${page}")
file(WRITE "${OUTPUT}" "#pragma once\n\nnamespace ddro::report {\ninline constexpr const char kPageTemplate[] = R\"page(${page})page\";\n}  // namespace ddro::report\n")
