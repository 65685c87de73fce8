/* bench_measure: runs one command and writes what it used to a file, as JSON. It is small, so that
 * the peak RSS which a child inherits from its parent at exec (getrusage(2): maximum over the
 * process's whole life) is near nothing, and it takes the environment of the command as options, so
 * that it does not itself run under the allocator that is measured.
 *
 * usage: bench_measure [-e NAME=VALUE].. -o FILE -- COMMAND [ARGUMENT].. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static int usage(void) {
  fputs("usage: bench_measure [-e NAME=VALUE].. -o FILE -- COMMAND [ARGUMENT]..\n", stderr);
  return 2;
}

int main(int argc, char** argv) {
  const char* output = NULL;
  char* settings[32];
  int setting_count = 0, option;
  while ((option = getopt(argc, argv, "+e:o:")) != -1) {
    if (option == 'o') {
      output = optarg;
    } else if (option == 'e' && setting_count < 32 && strchr(optarg, '=') != NULL) {
      settings[setting_count++] = optarg;
    } else {
      return usage();
    }
  }
  if (output == NULL || optind == argc) return usage();

  double start = now();
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < setting_count; ++i) putenv(settings[i]);
    execvp(argv[optind], argv + optind);
    fprintf(stderr, "bench_measure: %s: %s\n", argv[optind], strerror(errno));
    _exit(127);
  }
  int status = 0;
  struct rusage used;
  if (child < 0 || wait4(child, &status, 0, &used) != child) {
    perror("bench_measure");
    return 1;
  }
  double wall = now() - start;
  FILE* file = fopen(output, "w");
  if (file == NULL) {
    fprintf(stderr, "bench_measure: %s: %s\n", output, strerror(errno));
    return 1;
  }
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  fprintf(file,
          "{\"status\":%d,\"wall_s\":%.6f,\"user_s\":%.6f,\"system_s\":%.6f,\"rss_kib\":%ld,"
          "\"minor_faults\":%ld,\"major_faults\":%ld}\n",
          code, wall, seconds(used.ru_utime), seconds(used.ru_stime), used.ru_maxrss,
          used.ru_minflt, used.ru_majflt);
  return fclose(file) == 0 ? 0 : 1;
}
