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
set(ENV{CUDA_HOME} "${cuda_root}")
set(ENV{CUDA_PATH} "${cuda_root}")
set(ENV{CUDACXX} "${cuda_root}/bin/nvcc")
set(ENV{LIBRARY_PATH} "")
# nvcc looks for its libraries here before the host compiler's default folders.
set(CMAKE_CUDA_FLAGS_INIT "-L${cuda_root}/lib")
set(TORCH_CUDA_ARCH_LIST "8.0;9.0;10.0" CACHE STRING "GPU architectures to compile kernels for")
# CMake 3.25 knows no C++20 dialect for nvcc; torch would copy CMAKE_CXX_STANDARD here if it were empty.
set(CMAKE_CUDA_STANDARD 17)
list(PREPEND CMAKE_PREFIX_PATH "${DDRO_SITE_PACKAGES}/torch/share/cmake")

find_package(Torch 2.11 EXACT REQUIRED)

get_directory_property(cache_variables CACHE_VARIABLES)
foreach(name ${cache_variables})
  if(name MATCHES "^(CUDA_.*_LIBRARY|CUDA_.*LIBRARY)$" AND "${${name}}" MATCHES "^/"
     AND NOT "${${name}}" MATCHES "^${DDRO_VENV}")
    message(STATUS "${name} comes from outside the environment: ${${name}}")
  endif()
endforeach()
