// Status and Result: how internal functions report failure. No exception crosses a layer boundary.
#pragma once

#include <string>
#include <utility>

#include "hms/hms.h"

namespace hms {

// An outcome with a message for people. The message names the offending input and the way out.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(hms_status code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == HMS_OK; }
  hms_status code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  hms_status code_ = HMS_OK;
  std::string message_;
};

// A value or the Status that explains its absence.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() { return value_; }
  const T& value() const { return value_; }

 private:
  T value_{};
  Status status_;
};

}  // namespace hms
