# Adds flowtell_plans. With FLOWTELL_WITH_TENSORRT it needs NVIDIA's TensorRT 10 or 11, or TensorRT-RTX:
# TENSORRT_INCLUDE_DIR names the folder of NvInferRuntime.h, TENSORRT_LIBRARY the shared library. What the library is
# called says which of the two it is, and so whose plans are opened.
if(NOT FLOWTELL_WITH_TENSORRT)
  add_library(flowtell_plans OBJECT src/plan_session_absent.cpp)
  set(TENSORRT_LIBRARY "")
  return()
endif()

find_path(TENSORRT_INCLUDE_DIR NvInferRuntime.h PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE} tensorrt)
find_library(TENSORRT_LIBRARY NAMES nvinfer tensorrt_rtx)
find_package(CUDAToolkit QUIET) # NVIDIA's headers include cuda_runtime_api.h
if(NOT TENSORRT_INCLUDE_DIR OR NOT TENSORRT_LIBRARY)
  message(
    FATAL_ERROR
      "FLOWTELL_WITH_TENSORRT needs NVIDIA's TensorRT or TensorRT-RTX: say -DTENSORRT_INCLUDE_DIR=FOLDER, which holds "
      "NvInferRuntime.h, and -DTENSORRT_LIBRARY=FILE, its libnvinfer.so or libtensorrt_rtx.so"
  )
endif()
get_filename_component(library_name ${TENSORRT_LIBRARY} NAME)
if(library_name MATCHES "tensorrt_rtx")
  set(plan_backend tensorrt_rtx)
else()
  set(plan_backend tensorrt)
endif()

add_library(flowtell_plans OBJECT src/plan_cache.cpp src/plan_session_tensorrt.cpp)
target_compile_definitions(flowtell_plans PRIVATE FLOWTELL_PLAN_BACKEND="${plan_backend}")
target_include_directories(flowtell_plans SYSTEM PRIVATE ${TENSORRT_INCLUDE_DIR} ${CUDAToolkit_INCLUDE_DIRS})
