# Google's libphonenumber. Debian's -dev package depends on Boost 1.74, which conflicts with the Boost 1.81 used here, so its
# headers are unpacked beside the build (tools/install-dependencies does that) and linked to the installed run-time library.
set(PHONENUMBER_ROOT ${CMAKE_SOURCE_DIR}/build/third_party/libphonenumber CACHE PATH "where libphonenumber-dev was unpacked")
if(NOT EXISTS ${PHONENUMBER_ROOT}/usr/include/phonenumbers/phonenumberutil.h)
  message(FATAL_ERROR "libphonenumber's headers are missing in ${PHONENUMBER_ROOT}: run tools/install-dependencies")
endif()
file(GLOB PHONENUMBER_LIBRARY /usr/lib/*/libphonenumber.so.8)
add_library(tailrace_phonenumber INTERFACE)
target_include_directories(tailrace_phonenumber SYSTEM INTERFACE ${PHONENUMBER_ROOT}/usr/include)
target_link_libraries(tailrace_phonenumber INTERFACE ${PHONENUMBER_LIBRARY})
