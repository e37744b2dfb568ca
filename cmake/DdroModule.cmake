# Executables are compiled like libraries: a precompiled header serves both only if their flags are the same.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)

# ddro_precompile(NAME [TORCH | TEST]... HEADERS...): headers that targets with the same flags share, precompiled once.
# They are what most sources parse for longer than themselves; a source still includes what it uses.
function(ddro_precompile name)
  cmake_parse_arguments(arg "TORCH;TEST" "" "HEADERS" ${ARGN})
  add_library(ddro_precompiled_${name} OBJECT ${PROJECT_SOURCE_DIR}/src/precompiled.cpp)
  target_link_libraries(ddro_precompiled_${name} PRIVATE nlohmann_json::nlohmann_json ddro_warnings)
  if(arg_TORCH)
    target_link_libraries(ddro_precompiled_${name} PRIVATE ddro_torch)
  endif()
  if(arg_TEST)
    ddro_compile_as_test(ddro_precompiled_${name})
  endif()
  target_precompile_headers(ddro_precompiled_${name} PRIVATE ${arg_HEADERS})
endfunction()

# ddro_module(NAME [TORCH] SOURCES ... DEPENDS ... [USES ...])
# One static library for src/NAME. DEPENDS lists the modules of its line in the layer table (docs/architecture.md)
# and what its public headers include; USES, what only its sources include. TORCH adds LibTorch.
function(ddro_module name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;DEPENDS;USES" ${ARGN})
  add_library(ddro_${name} STATIC ${arg_SOURCES})
  target_include_directories(ddro_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(ddro_${name} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_USES} ddro_warnings)
  if(arg_TORCH)
    ddro_use_torch(ddro_${name})
  else()
    target_precompile_headers(ddro_${name} REUSE_FROM ddro_precompiled_plain)
  endif()
endfunction()

# ddro_use_torch(TARGET [PRECOMPILED]): links LibTorch and compiles with precompiled headers, by default the modules'. The
# C++ library comes first: libtorch.so exports std::filesystem functions of the compiler that built it, and some of them
# crash when called from here.
function(ddro_use_torch target)
  set(precompiled torch ${ARGN})
  list(GET precompiled -1 precompiled)
  target_link_options(${target} PUBLIC "SHELL:-Wl,--push-state,--no-as-needed -lstdc++ -Wl,--pop-state")
  target_link_libraries(${target} PUBLIC ddro_torch)
  target_precompile_headers(${target} REUSE_FROM ddro_precompiled_${precompiled})
endfunction()

# A test's own code is compiled more often than it runs for long.
function(ddro_compile_as_test target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Og>)
  target_link_libraries(${target} PRIVATE GTest::gmock)
endfunction()

# ddro_test(NAME [TORCH | PROGRAM] LABEL unit|parity|... SOURCES ... DEPENDS ... [ENVIRONMENT NAME=value...]
#           [TIMEOUT seconds])
# One GoogleTest binary; TestEntries.cmake says which ctest entries it has. Tests find their surroundings in the
# environment: DDRO_SOURCE_DIR (the checkout), DDRO_TRAIN (the program), DDRO_FIXTURES (what scripts/make_fixtures made).
# Threads that wait do not spin: several tests share the cores. TORCH links LibTorch; PROGRAM says that the tests run
# ddro-train, each in an entry of its own. Those with neither are also labelled torch-free and built by the target of
# that name.
function(ddro_test name)
  cmake_parse_arguments(arg "TORCH;PROGRAM" "TIMEOUT" "LABEL;SOURCES;DEPENDS;ENVIRONMENT" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} ddro_warnings GTest::gtest_main)
  ddro_compile_as_test(${name})
  set(labels ${arg_LABEL})
  if(arg_TORCH)
    ddro_use_torch(${name} torch_test)
  else()
    target_precompile_headers(${name} REUSE_FROM ddro_precompiled_test)
  endif()
  if(arg_PROGRAM)
    add_dependencies(${name} ddro-train)
  elseif(NOT arg_TORCH)
    list(APPEND labels torch-free)
    if(NOT TARGET torch-free)
      add_custom_target(torch-free)
    endif()
    add_dependencies(torch-free ${name})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set(list ${CMAKE_CURRENT_BINARY_DIR}/${name}_tests.txt)
  add_custom_command(TARGET ${name} POST_BUILD COMMAND ${name} --gtest_list_tests > ${list} VERBATIM)
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}_tests.cmake CONTENT
"include([[${PROJECT_SOURCE_DIR}/cmake/TestEntries.cmake]])
ddro_test_entries(${name} [[$<TARGET_FILE:${name}>]] [[${list}]] ${arg_PROGRAM} [[${labels}]] ${arg_TIMEOUT}
  [[DDRO_SOURCE_DIR=${PROJECT_SOURCE_DIR};DDRO_TRAIN=${PROJECT_BINARY_DIR}/bin/ddro-train;DDRO_FIXTURES=${DDRO_FIXTURES};OMP_WAIT_POLICY=passive;${arg_ENVIRONMENT}]])
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}_tests.cmake)
endfunction()
