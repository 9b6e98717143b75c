# Finds onnxruntime_c_api.h, the only thing of ONNX Runtime that building libflowtell needs, and sets
# ONNXRUNTIME_INCLUDE_DIR to its folder. The library itself is loaded at run time.
# of a path: one that was said relative to the current folder becomes absolute here
set(ONNXRUNTIME_INCLUDE_DIR "" CACHE PATH "Folder of onnxruntime_c_api.h")
if(ONNXRUNTIME_INCLUDE_DIR AND NOT EXISTS ${ONNXRUNTIME_INCLUDE_DIR})
  message(
    FATAL_ERROR
      "ONNXRUNTIME_INCLUDE_DIR is '${ONNXRUNTIME_INCLUDE_DIR}', and there is no such folder: "
      "'scripts/fetch_onnxruntime_headers.sh ${ONNXRUNTIME_INCLUDE_DIR}' fetches the header there (it needs npm)"
  )
endif()
if(NOT ONNXRUNTIME_INCLUDE_DIR)
  find_package(onnxruntime CONFIG QUIET)
  if(TARGET onnxruntime::onnxruntime)
    get_target_property(stated_folders onnxruntime::onnxruntime INTERFACE_INCLUDE_DIRECTORIES)
  endif()
endif()
find_path(
  onnxruntime_header_folder onnxruntime_c_api.h
  HINTS ${ONNXRUNTIME_INCLUDE_DIR} ${stated_folders}
  PATH_SUFFIXES onnxruntime onnxruntime/core/session include include/onnxruntime
  NO_CACHE
)
if(NOT onnxruntime_header_folder)
  message(
    FATAL_ERROR
      "libflowtell needs the header onnxruntime_c_api.h of ONNX Runtime 1.21 or newer: "
      "run 'scripts/fetch_onnxruntime_headers.sh FOLDER' (it needs npm) or install your system's package, "
      "then say -DONNXRUNTIME_INCLUDE_DIR=FOLDER or -Donnxruntime_DIR=..."
  )
endif()
set(ONNXRUNTIME_INCLUDE_DIR ${onnxruntime_header_folder} CACHE PATH "Folder of onnxruntime_c_api.h" FORCE)
