# cmake --install BUILD --prefix DIR: a folder that runs wherever it is put, on any machine with the same or a newer
# C library: the program, and beside it LibTorch, the CUDA libraries and the other shared libraries it was linked with.
#
#   bin/ddro-train
#   lib/ddro-train/*.so          system libraries that a bare machine lacks
#   lib/ddro-train/torch/lib     LibTorch; its own search path is $ORIGIN/../../nvidia/...,
#   lib/ddro-train/nvidia/...    so these two keep the places they have to each other in the wheels
#   share/ddro-train             configurations, licence, README

set(library_folder lib/ddro-train)
set(origin "$ORIGIN/../${library_folder}")
set_target_properties(ddro-train PROPERTIES
  INSTALL_RPATH "${origin};${origin}/torch/lib;${origin}/nvidia/cu13/lib"
  INSTALL_RPATH_USE_LINK_PATH OFF)
# DT_RPATH, unlike DT_RUNPATH, also serves the libraries of the libraries (spdlog's fmt).
target_link_options(ddro-train PRIVATE -Wl,--disable-new-dtags)

install(TARGETS ddro-train RUNTIME DESTINATION bin)
install(FILES LICENSE README.md DESTINATION share/ddro-train)
install(DIRECTORY configs DESTINATION share/ddro-train)

install(DIRECTORY "${DDRO_SITE_PACKAGES}/torch/lib" DESTINATION ${library_folder}/torch USE_SOURCE_PERMISSIONS
  FILES_MATCHING PATTERN "*.so*" PATTERN "libtorch_python*" EXCLUDE PATTERN "libshm*" EXCLUDE)
file(GLOB torch_licenses "${DDRO_SITE_PACKAGES}/torch-*.dist-info/licenses/*")
install(FILES ${torch_licenses} DESTINATION share/ddro-train/torch)
foreach(package cu13 cudnn cusparselt nccl nvshmem)
  # Names without a version are for linking; of these folders only versioned ones are loaded.
  install(DIRECTORY "${DDRO_SITE_PACKAGES}/nvidia/${package}/lib" DESTINATION ${library_folder}/nvidia/${package}
    USE_SOURCE_PERMISSIONS FILES_MATCHING PATTERN "*.so.*")
endforeach()

# Found when installing: what the program needs that is neither the C and C++ run-time of every system nor above.
install(CODE "set(program \"$<TARGET_FILE:ddro-train>\")\nset(destination \"\${CMAKE_INSTALL_PREFIX}/${library_folder}\")")
install(CODE [[
  file(GET_RUNTIME_DEPENDENCIES EXECUTABLES "${program}" RESOLVED_DEPENDENCIES_VAR libraries
    UNRESOLVED_DEPENDENCIES_VAR missing
    PRE_EXCLUDE_REGEXES "^lib(torch|c10|shm|cu|nv|nccl|gomp)"
      "^(ld-linux.*|lib(c|m|dl|rt|pthread|util|stdc\\+\\+|gcc_s))\\.so")
  if(missing)
    message(FATAL_ERROR "shared libraries that cannot be found: ${missing}")
  endif()
  file(INSTALL ${libraries} DESTINATION "$ENV{DESTDIR}${destination}" TYPE SHARED_LIBRARY FOLLOW_SYMLINK_CHAIN)
]])
