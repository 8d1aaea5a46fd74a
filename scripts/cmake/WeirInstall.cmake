# libweir.so, and what `cmake --install` puts where: the program, the library, headers, a CMake package, a pkg-config file.
include(CMakePackageConfigHelpers)

set(map "${PROJECT_SOURCE_DIR}/scripts/libweir.map")
add_library(weir_shared SHARED
  $<TARGET_OBJECTS:weir_base> $<TARGET_OBJECTS:weir_event> $<TARGET_OBJECTS:weir_filter>
  $<TARGET_OBJECTS:weir_config> $<TARGET_OBJECTS:weir_channel>)
target_include_directories(weir_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(weir_shared PRIVATE
  $<BUILD_INTERFACE:weir_flags> Threads::Threads PkgConfig::JSONC PkgConfig::YAML ${CMAKE_DL_LIBS})
target_link_options(weir_shared PRIVATE "-Wl,--version-script=${map}")
if(NOT WEIR_SANITIZE)
  target_link_options(weir_shared PRIVATE -Wl,-z,defs)
endif()
set_target_properties(weir_shared PROPERTIES OUTPUT_NAME weir EXPORT_NAME weir LINKER_LANGUAGE C LINK_DEPENDS "${map}"
  VERSION "${PROJECT_VERSION}" SOVERSION "${PROJECT_VERSION_MAJOR}" LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
set_target_properties(weir_headers PROPERTIES EXPORT_NAME driver)

install(TARGETS weir_shared weir_headers EXPORT weirTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/weir" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h")
install(FILES "${PROJECT_BINARY_DIR}/include/weir/version.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/weir")

set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/weir")
install(EXPORT weirTargets NAMESPACE weir:: DESTINATION "${package_folder}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/weirConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/weirConfig.cmake" INSTALL_DESTINATION "${package_folder}" PATH_VARS CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/weirConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/package/weirConfig.cmake" "${PROJECT_BINARY_DIR}/package/weirConfigVersion.cmake"
  DESTINATION "${package_folder}")

# Paths relative to the file itself: the prefix may be chosen when it is installed, and moved afterwards.
file(RELATIVE_PATH prefix_from_pc "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/weir.pc.in" "${PROJECT_BINARY_DIR}/package/weir.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/weir.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
