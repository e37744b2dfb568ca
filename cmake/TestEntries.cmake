# Read by ctest: the entries of one test binary, from the list of its tests that the build wrote.

# Names of tests that may be skipped: for want of a device, or of the right to mount a small disk or a file, or to make
# network namespaces.
set(DDRO_SKIPPABLE Cuda Gpu Disk Mounted Namespaces)

# Tests labelled fault take hours: ctest has them with -C fault alone.
#
# One entry a test suite, NAME.Suite, or, if EACH is true or ctest runs with -C cases, one a test, NAME.Suite.Test. Tests
# that may be skipped always have their own, one for all values of a parameter, so that they are skipped by name; a suite's
# entry fails if any other is.
function(ddro_test_entries name program list each labels timeout environment)
  if(NOT EXISTS "${list}")
    add_test(${name}_NOT_BUILT ${name}_NOT_BUILT)
    return()
  endif()
  if("${labels}" MATCHES "fault" AND NOT CTEST_CONFIGURATION_TYPE STREQUAL "fault")
    return()
  endif()
  string(JOIN "|" skippable ${DDRO_SKIPPABLE})
  list(TRANSFORM DDRO_SKIPPABLE REPLACE "(.+)" "*\\1*" OUTPUT_VARIABLE left_out)
  string(JOIN ":" left_out ${left_out})
  if(CTEST_CONFIGURATION_TYPE STREQUAL "cases")
    set(each TRUE)
  endif()
  file(READ "${list}" lines)
  string(REGEX REPLACE " +#[^\n]*" "" lines "${lines}")  # values of parameters
  string(REPLACE "\n" ";" lines "${lines}")
  foreach(line ${lines})
    if(line MATCHES "^  (.+)")
      set(test "${suite}${CMAKE_MATCH_1}")
      set(filter "${test}")
      string(REGEX REPLACE "(\\.[^/]+)/.*" "\\1" without_parameter "${test}")
      if(NOT each AND without_parameter MATCHES "${skippable}" AND NOT without_parameter STREQUAL test)
        set(test "${without_parameter}")
        set(filter "${test}/*")
        list(FIND added "${test}" found)
        if(found GREATER -1)
          continue()
        endif()
        list(APPEND added "${test}")
      endif()
      if(each OR test MATCHES "${skippable}")
        add_test("${name}.${test}" "${program}" "--gtest_filter=${filter}" --gtest_brief=1)
        set_tests_properties("${name}.${test}" PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
          ENVIRONMENT "${environment}" SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
      elseif(NOT suite_is_added)
        string(REGEX REPLACE "\\.$" "" entry "${name}.${suite}")
        add_test("${entry}" "${program}" "--gtest_filter=${suite}*-${left_out}" --gtest_brief=1)
        set_tests_properties("${entry}" PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
          ENVIRONMENT "${environment}" FAIL_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
        set(suite_is_added TRUE)
      endif()
    elseif(line MATCHES "\\.$")
      set(suite "${line}")
      set(suite_is_added FALSE)
    endif()
  endforeach()
endfunction()
