# cmake --install BUILD --prefix DIR [--component NAME]: a folder that runs wherever it is put, on any machine with the
# same or a newer C library.
#
#   component program (70 MB)
#     bin/ddro-train                  a shell script that becomes the program (cmake/launcher.sh.in)
#     lib/ddro_train/bin/ddro-train   the program
#     lib/ddro_train/lib              system libraries that a bare machine lacks, and Arrow's
#     lib/ddro_train                  configurations, licence, README
#   component torch (4 GB)
#     lib/torch, lib/nvidia           LibTorch and the CUDA libraries
#
# lib/ has the places of a Python environment's site-packages: the program looks for LibTorch beside its own folder in
# either, and LibTorch, whose own search path is $ORIGIN/../../nvidia/..., for the CUDA libraries beside itself.
# scripts/package makes a wheel and a tar file of the component program.

set(library_folder lib/ddro_train)
set_target_properties(ddro-train PROPERTIES
  INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN/../../torch/lib;$ORIGIN/../../nvidia/cu13/lib"
  INSTALL_RPATH_USE_LINK_PATH OFF)
# DT_RPATH, unlike DT_RUNPATH, also serves the libraries of the libraries (spdlog's fmt).
target_link_options(ddro-train PRIVATE -Wl,--disable-new-dtags)

install(TARGETS ddro-train RUNTIME DESTINATION ${library_folder}/bin COMPONENT program)
install(FILES LICENSE README.md DESTINATION ${library_folder} COMPONENT program)
install(DIRECTORY configs DESTINATION ${library_folder} COMPONENT program)

# Found when installing: what the program needs that is neither the C and C++ run-time of every system nor LibTorch's, by
# the names under which it is loaded; and the newest C library that any of it asks for, which the launcher looks for.
set(DDRO_TORCH_VERSION "${Torch_VERSION}")
set(DDRO_CUDA_VERSION "${CUDAToolkit_VERSION_MAJOR}.${CUDAToolkit_VERSION_MINOR}")
configure_file(cmake/InstallLibraries.cmake.in "${CMAKE_BINARY_DIR}/InstallLibraries.cmake" @ONLY)
install(CODE "set(DDRO_PROGRAM \"$<TARGET_FILE:ddro-train>\")" COMPONENT program)
install(SCRIPT "${CMAKE_BINARY_DIR}/InstallLibraries.cmake" COMPONENT program)

install(DIRECTORY "${DDRO_SITE_PACKAGES}/torch/lib" DESTINATION lib/torch COMPONENT torch USE_SOURCE_PERMISSIONS
  FILES_MATCHING PATTERN "*.so*" PATTERN "libtorch_python*" EXCLUDE PATTERN "libshm*" EXCLUDE)
install(FILES "${DDRO_SITE_PACKAGES}/torch/version.py" DESTINATION lib/torch COMPONENT torch)
file(GLOB torch_licenses "${DDRO_SITE_PACKAGES}/torch-*.dist-info/licenses/*")
install(FILES ${torch_licenses} DESTINATION lib/torch/licenses COMPONENT torch)
foreach(package cu13 cudnn cusparselt nccl nvshmem)
  # Names without a version are for linking; of these folders only versioned ones are loaded.
  install(DIRECTORY "${DDRO_SITE_PACKAGES}/nvidia/${package}/lib" DESTINATION lib/nvidia/${package} COMPONENT torch
    USE_SOURCE_PERMISSIONS FILES_MATCHING PATTERN "*.so.*")
endforeach()
