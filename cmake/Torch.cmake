# LibTorch and nvcc from the virtual environment that scripts/setup makes. Everything comes from there, whatever
# CUDA toolkit the machine has or lacks: nvcc, cudart and nvrtc must match the wheel's own libraries.

set(DDRO_VENV "${CMAKE_SOURCE_DIR}/.venv" CACHE PATH "virtual environment that holds the torch and CUDA wheels")
file(GLOB site_packages "${DDRO_VENV}/lib/python3*/site-packages")
if(NOT site_packages)
  message(FATAL_ERROR "no virtual environment at ${DDRO_VENV}; run scripts/setup first")
endif()
list(GET site_packages 0 DDRO_SITE_PACKAGES)
set(cuda_root "${DDRO_SITE_PACKAGES}/nvidia/cu13")
foreach(needed "${cuda_root}/bin/nvcc" "${cuda_root}/lib64" "${cuda_root}/lib/libcudart.so"
        "${cuda_root}/lib/libnvrtc.so" "${DDRO_SITE_PACKAGES}/torch/share/cmake/Torch")
  if(NOT EXISTS "${needed}")
    message(FATAL_ERROR "${needed} is missing; run scripts/setup to complete ${DDRO_VENV}")
  endif()
endforeach()

set(CMAKE_CUDA_COMPILER "${cuda_root}/bin/nvcc" CACHE FILEPATH "CUDA compiler" FORCE)
set(CUDAToolkit_ROOT "${cuda_root}" CACHE PATH "CUDA toolkit" FORCE)
set(CUDA_TOOLKIT_ROOT_DIR "${cuda_root}" CACHE PATH "CUDA toolkit, as torch's own scripts name it" FORCE)
set(Python_EXECUTABLE "${DDRO_VENV}/bin/python")  # torch's scripts hash a file with it
foreach(variable CUDA_HOME CUDA_PATH CUDA_BIN_PATH CUDA_LIB_PATH CUDA_INC_PATH CUDAToolkit_ROOT)
  set(ENV{${variable}} "${cuda_root}")
endforeach()
set(ENV{CUDACXX} "${cuda_root}/bin/nvcc")
foreach(variable CUDAFLAGS CUDAARCHS CUDAHOSTCXX NVCC_PREPEND_FLAGS NVCC_APPEND_FLAGS LIBRARY_PATH CPATH)
  set(ENV{${variable}} "")
endforeach()
# nvcc looks for its libraries here before the host compiler's default folders.
set(CMAKE_CUDA_FLAGS_INIT "-L${cuda_root}/lib")
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # the one that torch uses
set(TORCH_CUDA_ARCH_LIST "7.5;8.0;8.6;8.9;9.0;10.0;12.0+PTX" CACHE STRING "GPU architectures to compile kernels for")
# CMake 3.25 knows no C++20 dialect for nvcc; torch would copy CMAKE_CXX_STANDARD here if it were empty.
set(CMAKE_CUDA_STANDARD 17)

# Sets `result` to "NAME=path" of each CUDA library in the cache that lies outside the environment.
function(ddro_cuda_libraries_outside result)
  set(outside "")
  get_directory_property(names CACHE_VARIABLES)
  foreach(name ${names})
    if(name MATCHES "^CUDA_.*(LIBRARY|LIB|CUDART)$" AND "${${name}}" MATCHES "^/")
      cmake_path(IS_PREFIX DDRO_SITE_PACKAGES "${${name}}" inside)
      if(NOT inside)
        list(APPEND outside "${name}=${${name}}")
      endif()
    endif()
  endforeach()
  set(${result} "${outside}" PARENT_SCOPE)
endfunction()

# What an earlier configuration found elsewhere is looked for again.
ddro_cuda_libraries_outside(outside)
foreach(entry ${outside})
  string(REGEX REPLACE "=.*" "" name "${entry}")
  unset(${name} CACHE)
endforeach()

# While torch's scripts run, nothing is searched for outside the environment: some of them look in /usr/local and PATH.
foreach(place CMAKE_ENVIRONMENT_PATH SYSTEM_ENVIRONMENT_PATH CMAKE_SYSTEM_PATH)
  set(CMAKE_FIND_USE_${place} FALSE)
endforeach()
find_package(Torch 2.11 EXACT REQUIRED PATHS "${DDRO_SITE_PACKAGES}/torch/share/cmake" NO_DEFAULT_PATH)
foreach(place CMAKE_ENVIRONMENT_PATH SYSTEM_ENVIRONMENT_PATH CMAKE_SYSTEM_PATH)
  unset(CMAKE_FIND_USE_${place})
endforeach()

ddro_cuda_libraries_outside(outside)
if(outside)
  list(JOIN outside ", " outside)
  message(FATAL_ERROR "CUDA libraries outside of ${DDRO_SITE_PACKAGES}: ${outside}; scripts/setup completes the "
                      "environment")
endif()
