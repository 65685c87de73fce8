// Allocates 64 MiB at one place, 8 MiB at another in between, and then uses the second only, for
// so many milliseconds. What `hms record` learns of it, and `hms run --profile` places by.
//
// hot_and_cold MILLISECONDS [HOW]
//   exit     ends by returning (default)
//   _exit    ends by _exit
//   fork     a child does the work
//   wrapped  malloc is called at one place, from two others
//   places   it is also called at a hundred more
//   kill     ends by SIGKILL, once its profile was stored
//   tell     prints how many KiB of each place are in the memory "tier:near"
//   exec     a second image does the same, once the profile of the first was stored
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kBlocks = 2048, kBytes = 4096, kColdPerHot = 8 };

static char* hot[kBlocks];
static char* cold[kBlocks][kColdPerHot];

// Of the preloaded library.
__attribute__((weak)) const char* hms_target_of(const void* block);

// Places of their own, whatever the compiler thinks of it.
__attribute__((noinline)) static char* make_hot(void) {
  char* block = malloc(kBytes);
  memset(block, 1, kBytes);
  return block;
}
__attribute__((noinline)) static char* make_cold(void) {
  char* block = malloc(kBytes);
  memset(block, 2, kBytes);
  return block;
}
__attribute__((noinline)) static char* wrapper(int content) {
  char* block = malloc(kBytes);
  memset(block, content, kBytes);
  return block;
}
// Deeper in the stack than the other.
__attribute__((noinline)) static char* make_hot_wrapped(void) {
  volatile char room[512];
  room[0] = 1;
  char* block = wrapper(room[0]);
  room[1] = *block;
  return block;
}
__attribute__((noinline)) static char* make_cold_wrapped(void) {
  char* block = wrapper(2);
  *(volatile char*)block = 2;
  return block;
}

// Each call has a return address of its own.
static void* volatile sink;
#define ONE sink = malloc(16);
#define TEN ONE ONE ONE ONE ONE ONE ONE ONE ONE ONE
__attribute__((noinline)) static void hundred_places(void) {
  TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Once the recorder has stored a profile of this process that is younger than now.
static void wait_until_stored(void) {
  const time_t start = time(NULL);
  const char* folder = getenv("HMS_STATS_DIR");
  char prefix[32], path[4096];
  snprintf(prefix, sizeof prefix, "%d-", (int)getpid());
  for (int tries = 0; folder != NULL && tries < 6000; ++tries, usleep(10000)) {
    DIR* dir = opendir(folder);
    for (struct dirent* e = NULL; dir != NULL && (e = readdir(dir)) != NULL;) {
      const char* end = strstr(e->d_name, ".profile");
      struct stat st;
      snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
      const int ours = strncmp(e->d_name, prefix, strlen(prefix)) == 0 && end != NULL;
      if (ours && strcmp(end, ".profile") == 0 && stat(path, &st) == 0 && st.st_mtime > start) {
        closedir(dir);
        return;
      }
    }
    if (dir != NULL) closedir(dir);
  }
}

static void work(double seconds, int wrapped) {
  for (int i = 0; i < kBlocks; ++i) {
    for (int j = 0; j < kColdPerHot; ++j) cold[i][j] = wrapped ? make_cold_wrapped() : make_cold();
    hot[i] = wrapped ? make_hot_wrapped() : make_hot();
  }
  unsigned at = 1;
  for (double end = now() + seconds; now() < end;) {
    for (int k = 0; k < 50000; ++k) {
      at = at * 1664525u + 1013904223u;
      ((volatile char*)hot[at >> 8 & (kBlocks - 1)])[at >> 20] += 1;
    }
  }
}

static int near(const char* block) {
  const char* target = hms_target_of != NULL ? hms_target_of(block) : NULL;
  return target != NULL && strcmp(target, "tier:near") == 0;
}
static void tell(void) {
  int of_hot = 0, of_cold = 0;
  for (int i = 0; i < kBlocks; ++i) {
    of_hot += near(hot[i]);
    for (int j = 0; j < kColdPerHot; ++j) of_cold += near(cold[i][j]);
  }
  printf("%d %d\n", of_hot * kBytes / 1024, of_cold * kBytes / 1024);
}

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? atof(argv[1]) / 1000 : 1;
  const char* how = argc > 2 ? argv[2] : "exit";
  // One accessed bit for each page, not one for 2 MiB: a short run then has samples enough.
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  if (strcmp(how, "fork") == 0 && fork() != 0) {
    int status = 0;
    wait(&status);
    return WEXITSTATUS(status);
  }
  if (strcmp(how, "places") == 0) hundred_places();
  work(seconds, strcmp(how, "wrapped") == 0);
  if (strcmp(how, "kill") == 0 || strcmp(how, "exec") == 0) wait_until_stored();
  if (strcmp(how, "tell") == 0) tell();
  if (strcmp(how, "_exit") == 0) _exit(7);
  if (strcmp(how, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(how, "exec") == 0) execl(argv[0], argv[0], argv[1], "_exit", (char*)NULL);
  return 0;
}
