// A line about what takes long: on stderr from the third second on, if that is a terminal, and gone
// when it ends. What goes to pipes and files never has it.
#pragma once

#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace hms::cli {

class Progress {
 public:
  // "WHO: SECONDS s, WHAT"; not `wanted`: nothing at all.
  Progress(std::string who, std::string what, bool wanted = true);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void set(std::string what);
  // True from the moment on that somebody can read it: before, nobody needs to know what to say.
  bool shown();

 private:
  void run();
  void draw(double seconds);

  std::string who_, what_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool ending_ = false;
  bool drawn_ = false;
  std::thread thread_;
};

}  // namespace hms::cli
