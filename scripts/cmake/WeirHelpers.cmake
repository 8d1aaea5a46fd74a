# The words that the CMakeLists.txt files of the tree are written in.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

# The public headers, and nothing else: what a driver may see.
add_library(weir_headers INTERFACE)
target_include_directories(weir_headers INTERFACE
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include;${PROJECT_BINARY_DIR}/include>"
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# weir_module(NAME SOURCES a.c ... [LIBS ...]): one folder of core/, as objects.
function(weir_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(weir_${name} OBJECT ${ARG_SOURCES})
  target_include_directories(weir_${name} PRIVATE "${PROJECT_SOURCE_DIR}/core")
  target_link_libraries(weir_${name} PUBLIC weir_headers ${ARG_LIBS} PRIVATE weir_flags)
endfunction()

# weir_driver(NAME SOURCES a.c ... [LIBS ...]): build/drivers/weir-driver-NAME.so, which sees only the public headers
# and exports only its entry point.
function(weir_driver name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  string(REPLACE "-" "_" symbol "${name}")
  set(map "${CMAKE_CURRENT_BINARY_DIR}/weir-driver-${name}.map")
  file(CONFIGURE OUTPUT "${map}" CONTENT "{ global: weir_driver_${symbol}_init; local: *; };\n")
  add_library(weir-driver-${name} MODULE ${ARG_SOURCES})
  target_link_libraries(weir-driver-${name} PRIVATE weir_headers weir_flags Threads::Threads ${ARG_LIBS})
  target_compile_options(weir-driver-${name} PRIVATE -fvisibility=hidden)
  target_link_options(weir-driver-${name} PRIVATE "-Wl,--version-script=${map}" -Wl,-z,nodelete -Wl,-Bsymbolic)
  if(NOT WEIR_SANITIZE)
    target_link_options(weir-driver-${name} PRIVATE -Wl,-z,defs)
  endif()
  set_target_properties(weir-driver-${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY
    "${PROJECT_BINARY_DIR}/drivers")
  install(TARGETS weir-driver-${name} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/weir/drivers")
endfunction()

# weir_test(NAME SOURCES a.c ... [LIBS ...] [LABEL unit] [TIMEOUT 60]): a cmocka program and its ctest entry.
function(weir_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/core" "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE weir_flags ${ARG_LIBS} PkgConfig::CMOCKA)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT
    "WEIR_TEST_BUILD=${PROJECT_BINARY_DIR};WEIR_TEST_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

# weir_fuzzer(NAME SOURCES a.c ... [LIBS ...]): with WEIR_FUZZ a libFuzzer program; always a replayer of the corpus in
# tests/fuzz/corpus/NAME, run by ctest with every compiler and sanitizer.
function(weir_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  set(corpus "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  if(WEIR_FUZZ)
    add_executable(fuzz_${name} ${ARG_SOURCES})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${ARG_SOURCES} "${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c")
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} "${corpus}")
    set_tests_properties(fuzz_${name} PROPERTIES LABELS unit TIMEOUT 60)
  endif()
  target_include_directories(fuzz_${name} PRIVATE "${PROJECT_SOURCE_DIR}/core" "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(fuzz_${name} PRIVATE weir_flags ${ARG_LIBS})
endfunction()
