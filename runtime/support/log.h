// Messages to people from inside a host program: rare, once each, never on stdout.
#pragma once

namespace hms {

enum class LogLevel { kError, kWarning, kInfo, kDebug };

// Writes "libhms: ..." to stderr, or to the file named by HMS_LOG, if `level` is enabled
// (HMS_LOG_LEVEL, default warning). Formats into a stack buffer: no allocation, safe under any
// lock. Messages longer than 500 bytes are cut. Ignored environment when the process is
// set-user-ID.
void log(LogLevel level, const char* format, ...) __attribute__((format(printf, 2, 3)));

// The same, but at most once per process for each `key` (a string literal).
void log_once(LogLevel level, const char* key, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

}  // namespace hms
