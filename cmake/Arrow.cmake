# Arrow C++ (Parquet) from the pyarrow wheel of the virtual environment: its headers and shared libraries. No Python of it
# runs. The libraries are installed with the program, so that it shares an environment with any pyarrow or none. Loading
# them costs 16 MB of mapped files and a hundredth of the start's time, so that it is not put off until a file needs them.
set(pyarrow "${DDRO_SITE_PACKAGES}/pyarrow")
foreach(library arrow parquet)
  file(GLOB found "${pyarrow}/lib${library}.so.*")
  list(LENGTH found count)
  if(NOT count EQUAL 1)
    message(FATAL_ERROR "${pyarrow} holds ${count} files lib${library}.so.*, expected one; run scripts/setup to complete ${DDRO_VENV}")
  endif()
  add_library(Arrow::${library} SHARED IMPORTED GLOBAL)
  set_target_properties(Arrow::${library} PROPERTIES IMPORTED_LOCATION "${found}"
    INTERFACE_INCLUDE_DIRECTORIES "${pyarrow}/include")
endforeach()
target_link_libraries(Arrow::parquet INTERFACE Arrow::arrow)
