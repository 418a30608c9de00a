# DuckDB: Parquet files and SQL over them. tools/install-dependencies unpacks the library and its header beside the build.
set(DUCKDB_ROOT ${CMAKE_SOURCE_DIR}/build/third_party/duckdb CACHE PATH "where DuckDB was unpacked")
if(NOT EXISTS ${DUCKDB_ROOT}/lib/libduckdb.so OR NOT EXISTS ${DUCKDB_ROOT}/include/duckdb.h)
  message(FATAL_ERROR "DuckDB is missing in ${DUCKDB_ROOT}: run tools/install-dependencies")
endif()
add_library(tailrace_duckdb SHARED IMPORTED)
set_target_properties(tailrace_duckdb PROPERTIES IMPORTED_LOCATION ${DUCKDB_ROOT}/lib/libduckdb.so
                      INTERFACE_INCLUDE_DIRECTORIES ${DUCKDB_ROOT}/include)
