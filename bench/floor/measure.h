/* What every floor program shares: clocks, CPU time, the stop signal, options. Included once by each program. */
#ifndef FLOOR_MEASURE_H
#define FLOOR_MEASURE_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

static inline double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* User and system CPU seconds of this process so far. */
struct cpu_seconds {
  double user, system;
};

static inline struct cpu_seconds cpu_now(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (struct cpu_seconds){
      .user = (double)use.ru_utime.tv_sec + (double)use.ru_utime.tv_usec / 1e6,
      .system = (double)use.ru_stime.tv_sec + (double)use.ru_stime.tv_usec / 1e6,
  };
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static volatile sig_atomic_t stopped;

static inline void on_stop(int signal_number) {
  (void)signal_number;
  stopped = 1;
}

/* SIGTERM and SIGINT end the loops, which then print what they counted; a harness that dies takes its programs along. */
static inline void watch_for_stop(void) {
  struct sigaction action = {.sa_handler = on_stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static inline void pin_to_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("cannot run on CPU %d: %s", cpu, strerror(errno));
}

/* The value behind `--name` on the command line, or `otherwise`. */
static inline const char *option(int argc, char **argv, const char *name, const char *otherwise) {
  for (int i = 1; i + 1 < argc; i++)
    if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) return argv[i + 1];
  return otherwise;
}

static inline const char *needed(int argc, char **argv, const char *name) {
  const char *value = option(argc, argv, name, NULL);
  if (value == NULL) fail("--%s is missing", name);
  return value;
}

static inline double number(int argc, char **argv, const char *name, double otherwise) {
  const char *value = option(argc, argv, name, NULL);
  if (value == NULL) return otherwise;
  char *end;
  double parsed = strtod(value, &end);
  if (end == value || *end != '\0') fail("--%s must be a number, not %s", name, value);
  return parsed;
}

/* Index of the value of `--name` in `choices`, which ends with NULL. */
static inline int choice(int argc, char **argv, const char *name, const char *const *choices) {
  const char *value = needed(argc, argv, name);
  for (int i = 0; choices[i] != NULL; i++)
    if (strcmp(value, choices[i]) == 0) return i;
  fail("--%s cannot be %s", name, value);
}

#endif
