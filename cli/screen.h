// A terminal that a command takes over for a while: keys one by one, a screen of its own, its size;
// and everything as it was when the command ends, is interrupted or is stopped.
#pragma once

#include <signal.h>
#include <termios.h>

#include <string>
#include <vector>

#include "runtime/support/result.h"

namespace hms::cli {

// Keys that are no character.
enum Key : int { kKeyNone = 0, kKeyEscape = 27, kKeyUp = 256, kKeyDown, kKeyPageUp, kKeyPageDown };

struct ScreenEvent {
  enum Kind { kTimeout, kKey, kRedraw, kSignal, kGone };
  Kind kind = kTimeout;
  int key = kKeyNone;
  int signal = 0;  // that asks this process to end
};

class Screen {
 public:
  // True if there is a terminal on both sides, and one that can move its cursor.
  static bool available();

  Screen() = default;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() { close(); }

  Status open();
  void close();

  struct Size {
    int columns = 80, rows = 24;
  };
  Size size() const;
  // Puts lines in the place of what is shown. They must fit: nothing wraps. False: the terminal is
  // gone.
  bool draw(const std::vector<std::string>& lines);
  // The next key, change of size or signal, or kTimeout.
  ScreenEvent wait(double seconds);

 private:
  bool enter();
  void leave();
  ScreenEvent take_signal();
  bool read_keys(int wait_ms);
  int next_key();

  int signals_ = -1;  // a signalfd
  bool entered_ = false;
  termios before_ = {};
  sigset_t mask_before_ = {};
  std::string typed_;  // and not used yet
};

// True if colours are wanted there: a terminal that has them, and no NO_COLOR.
bool colours_wanted(int fd);
// True for a terminal on which a line can be taken back.
bool can_erase(int fd);

}  // namespace hms::cli
