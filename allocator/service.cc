// See service.h.
#include "allocator/service.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <exception>

#include "runtime/support/log.h"
#include "runtime/support/os_files.h"
#include "runtime/support/os_watch.h"

namespace hms::alloc {
namespace {

constexpr double kLookEvery = 1;  // seconds

}  // namespace

double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

int start_detached(const char* name, void* (*body)(void*), void* argument) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  const int error = pthread_create(&thread, nullptr, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return error;
  pthread_setname_np(thread, name);
  pthread_detach(thread);
  return 0;
}

int Service::launch() {
  sem_init(&reminder_, 0, 0);
  ending_.store(false);
  done_.store(false);
  looked_at_ = 0;
  const int error = start_detached(name_, run, this);
  started_.store(error == 0, std::memory_order_release);
  return error;
}

int Service::start(const char* name, Body body) {
  name_ = name;
  body_ = body;
  return launch();
}

int Service::restart_in_child() {
  if (!started_.load()) return 0;
  os::close_all_watched();
  child_ = true;
  return launch();
}

void* Service::run(void* self) {
  auto* service = static_cast<Service*>(self);
  try {
    service->body_(*service);
  } catch (const std::exception& failure) {
    log(LogLevel::kWarning, "the thread %s ended early: %s", service->name_, failure.what());
  }
  service->done_.store(true, std::memory_order_release);
  return nullptr;
}

// The C library ends the process with its last thread, whichever that is.
void Service::look_for_others() {
  const double now = seconds_now();
  if (now < looked_at_ + kLookEvery) return;
  looked_at_ = now;
  if (os::only_this_thread_left()) ending_.store(true, std::memory_order_release);
}

void Service::sleep(double seconds) {
  timespec until{};
  clock_gettime(CLOCK_REALTIME, &until);
  const auto ns = static_cast<long>(seconds * 1e9) + until.tv_nsec;
  until.tv_sec += ns / 1'000'000'000;
  until.tv_nsec = ns % 1'000'000'000;
  while (sem_timedwait(&reminder_, &until) != 0 && errno == EINTR) {
  }
  look_for_others();
}

void Service::finish(double seconds) {
  if (!started_.load(std::memory_order_acquire)) return;
  ending_.store(true, std::memory_order_release);
  sem_post(&reminder_);
  const double end = seconds_now() + seconds;
  while (!done_.load(std::memory_order_acquire) && seconds_now() < end) {
    timespec moment{0, 500'000};
    nanosleep(&moment, nullptr);
  }
}

}  // namespace hms::alloc
