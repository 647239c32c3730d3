# The extension module miao._miao from src/python, with the types of its functions (_miao.pyi) beside it. The libraries
# are those of the program, with the same flags, so that a compiler cache has them already; their symbols stay inside.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
find_package(nanobind CONFIG REQUIRED)

file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/python/*.cpp)
nanobind_add_module(_miao NB_STATIC NB_SUPPRESS_WARNINGS ${sources})
target_compile_definitions(_miao PRIVATE MIAO_VERSION="${PROJECT_VERSION}")
target_compile_options(_miao PRIVATE -Wall -Wextra -Wshadow -Wno-missing-field-initializers)
target_link_libraries(_miao PRIVATE miao_search miao_compress)
target_link_options(_miao PRIVATE LINKER:--exclude-libs,ALL)

nanobind_add_stub(_miao_stub MODULE _miao OUTPUT _miao.pyi PYTHON_PATH $<TARGET_FILE_DIR:_miao> DEPENDS _miao)

install(TARGETS _miao LIBRARY DESTINATION miao)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/_miao.pyi DESTINATION miao)
