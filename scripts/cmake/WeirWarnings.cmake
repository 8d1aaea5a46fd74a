# Warnings (as errors), hardening and sanitizers: one INTERFACE target that all of Weir's code links.
include(CheckCCompilerFlag)
add_library(weir_flags INTERFACE)

target_compile_features(weir_flags INTERFACE c_std_11)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE)
target_compile_options(weir_flags INTERFACE
  -Wall -Wextra -Werror -Wpedantic -Wformat=2 -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wshadow -Wvla
  -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wnull-dereference -Wpointer-arith -Wwrite-strings
  -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-strict-overflow -fno-common)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(weir_flags INTERFACE -Wtrampolines -Wbidi-chars=any -Wlogical-op -Wduplicated-cond)
endif()

if(WEIR_FUZZ)
  # Coverage of all code, so that libFuzzer sees what an input reaches.
  target_compile_options(weir_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(WEIR_SANITIZE)
  target_compile_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE})
  # gcc's null-dereference analysis has false positives on instrumented code.
  target_compile_options(weir_flags INTERFACE -Wno-null-dereference)
else()
  target_compile_options(weir_flags INTERFACE -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
  # clang before 16 has this only behind a second flag that says it will go away.
  check_c_compiler_flag(-ftrivial-auto-var-init=zero WEIR_HAS_AUTO_VAR_INIT)
  if(WEIR_HAS_AUTO_VAR_INIT)
    target_compile_options(weir_flags INTERFACE -ftrivial-auto-var-init=zero)
  endif()
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(weir_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  endif()
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(weir_flags INTERFACE -Wno-null-dereference)
endif()
target_link_options(weir_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()
