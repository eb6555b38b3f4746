/* A process that loads this (LD_PRELOAD) sees the time of day shifted, by as much as a file says at each moment.

   CLOCK_SHIFT_FILE names the file, which holds nanoseconds, as a 64-bit integer of this machine's byte order. It is
   mapped into memory, so that its change is seen at once. Stopwatches (CLOCK_MONOTONIC) stay right, and so do waits:
   an instant until which a thread wants to wait is shifted back before the kernel, which knows the true time, gets it. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000
/* No machine has been up for so many seconds, and the year 1970 is over: it tells an instant from a stopwatch's value. */
#define INSTANT 1000000000

static int64_t no_shift;
static volatile int64_t *shift = &no_shift;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find_shift(void) {
    const char *path = getenv("CLOCK_SHIFT_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof no_shift, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED)
        shift = page;
    close(file);
}

static void move(struct timespec *instant, int64_t by) {
    instant->tv_sec += by / SECOND;
    instant->tv_nsec += by % SECOND;
    if (instant->tv_nsec < 0) {
        instant->tv_sec -= 1;
        instant->tv_nsec += SECOND;
    } else if (instant->tv_nsec >= SECOND) {
        instant->tv_sec += 1;
        instant->tv_nsec -= SECOND;
    }
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    /* Looked up here as well: other libraries' constructors may ask for the time before ours ran. */
    if (!real_clock_gettime)
        real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real_clock_gettime(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        move(now, *shift);
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    if (until->tv_sec < INSTANT)
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, until);
    struct timespec true_instant = *until;
    move(&true_instant, -*shift);
    return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &true_instant);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    struct timespec true_instant = *until;
    move(&true_instant, -*shift);
    return pthread_mutex_clocklock(mutex, CLOCK_REALTIME, &true_instant);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    struct timespec true_instant = *until;
    move(&true_instant, -*shift);
    return sem_clockwait(semaphore, CLOCK_REALTIME, &true_instant);
}
