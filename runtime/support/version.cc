// The version that runs.
#include "hms/hms.h"

extern "C" HMS_API int hms_version(void) {
  return HMS_VERSION_MAJOR * 10000 + HMS_VERSION_MINOR * 100 + HMS_VERSION_PATCH;
}
