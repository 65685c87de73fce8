// Kernel contact for threads that wait for each other. The rules of os.h hold.
#pragma once

#include <atomic>
#include <cstdint>

namespace hms::os {

// Sleeps while *word is `value`, until wake_one(word) or for no reason at all: the caller looks
// again.
void wait_while(std::atomic<uint32_t>* word, uint32_t value);
void wake_one(std::atomic<uint32_t>* word);
// At least so long, whatever signals arrive.
void sleep_ms(unsigned milliseconds);

}  // namespace hms::os
