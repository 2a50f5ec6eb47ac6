#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "CLinux.h"
#include "Faults.h"

void culvert_error_text(int number, char *out, size_t capacity) {
    const char *text = strerror_r(number, out, capacity);
    if (text != out) snprintf(out, capacity, "%s", text);
}

// MARK: events between threads

int culvert_event_create(void) {
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

void culvert_event_signal(int descriptor) {
    uint64_t one = 1;
    while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {}
}

void culvert_event_drain(int descriptor) {
    uint64_t count;
    while (read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {}
}

// MARK: memory

// Both copies of a file that only memory holds.
static int mirror_file(void *memory, size_t size) {
    int descriptor = memfd_create("culvert-ring", MFD_CLOEXEC);
    if (descriptor < 0) return -errno;
    int result = ftruncate(descriptor, (off_t)size) < 0 ? -errno : 0;
    for (int copy = 0; result == 0 && copy < 2; copy++) {
        void *place = (uint8_t *)memory + (size_t)copy * size;
        if (mmap(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0) == MAP_FAILED)
            result = -errno;
    }
    close(descriptor);
    return result;
}

// The same without a descriptor: of shared memory mremap makes a second copy where the old length is 0.
static int mirror_anonymous(void *memory, size_t size) {
    if (mmap(memory, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return -errno;
    void *copy = mremap(memory, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, (uint8_t *)memory + size);
    return copy == MAP_FAILED ? -errno : 0;
}

int culvert_mirror_map(size_t size, void **base) {
    void *memory = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -errno;
    int result = mirror_file(memory, size);
    // No descriptor is to be had, or no file of that size (LimitFSIZE).
    if (result < 0) result = mirror_anonymous(memory, size);
    if (result < 0) {
        munmap(memory, 2 * size);
        return result;
    }
    madvise(memory, 2 * size, MADV_DONTDUMP);
    *base = memory;
    return 0;
}

void culvert_mirror_unmap(void *base, size_t size) { munmap(base, 2 * size); }

void *culvert_memory_map(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    madvise(memory, size, MADV_DONTDUMP);
    return memory;
}

void *culvert_memory_grow(void *base, size_t size, size_t larger) {
    void *memory = mremap(base, size, larger, MREMAP_MAYMOVE);
    return memory == MAP_FAILED ? NULL : memory;
}

void culvert_memory_unmap(void *base, size_t size) { munmap(base, size); }
void culvert_memory_discard(void *base, size_t size) { madvise(base, size, MADV_DONTNEED); }

// MARK: threads

int culvert_processors(int *numbers, int capacity) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return -errno;
    int count = 0;
    for (int i = 0; i < CPU_SETSIZE && count < capacity; i++)
        if (CPU_ISSET(i, &set)) numbers[count++] = i;
    return count;
}

int culvert_pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return -pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

int culvert_current_processor(void) { return sched_getcpu(); }
void culvert_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

typedef struct {
    void *(*body)(void *);
    void *argument;
} thread_entry;

static void *run_thread(void *memory) {
    thread_entry entry = *(thread_entry *)memory;
    free(memory);
    // At the end of the stack that an overflow does not reach.
    _Alignas(16) char stack[CULVERT_FAULT_STACK];
    culvert_fault_stack_use(stack);
    void *result = entry.body(entry.argument);
    culvert_fault_stack_use(NULL);
    return result;
}

int culvert_thread_start(void *(*body)(void *), void *argument) {
    thread_entry *entry = malloc(sizeof *entry);
    if (entry == NULL) return -ENOMEM;
    *entry = (thread_entry){body, argument};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    sigset_t all, before;
    sigfillset(&all);
    // A fault must still end the process where it happens.
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGTRAP);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int result = pthread_create(&thread, &attributes, run_thread, entry);
    if (result != 0) free(entry);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -result;
}

void culvert_wake_on_time(void) { prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL); }

// MARK: time

static uint64_t read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t culvert_clock(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t culvert_clock_boottime(void) { return read_clock(CLOCK_BOOTTIME); }

// MARK: the process

enum { MOST_DESCRIPTORS = 1 << 20 };

// Written before the process has threads.
static uint64_t first_descriptor_limit;

uint64_t culvert_first_descriptor_limit(void) { return first_descriptor_limit; }

int64_t culvert_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    if (first_descriptor_limit == 0) first_descriptor_limit = limit.rlim_cur;
    rlim_t wanted = limit.rlim_max < MOST_DESCRIPTORS ? limit.rlim_max : MOST_DESCRIPTORS;
    if (limit.rlim_cur != wanted) {
        struct rlimit changed = {wanted, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &changed) == 0) limit = changed;
    }
    return (int64_t)limit.rlim_cur;
}

int culvert_end_with_parent(int parent) {
    if (prctl(PR_SET_PDEATHSIG, parent == 0 ? 0 : SIGTERM, 0, 0, 0) < 0) return -errno;
    // It may have gone before that.
    return parent == 0 || getppid() == parent ? 0 : -ESRCH;
}

int culvert_fill_standard_descriptors(void) {
    // open(2) gives the lowest free number.
    int descriptor = open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= 2) descriptor = open("/dev/null", O_RDWR);
    if (descriptor < 0) return -errno;
    close(descriptor);
    return 0;
}

void culvert_spare_address_space(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) mallopt(M_ARENA_MAX, 1);
}

int culvert_forbid_core_dumps(void) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

int culvert_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0; }

int culvert_fork(void) {
    pid_t child = fork();
    return child < 0 ? -errno : (int)child;
}

int culvert_signals_open(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) {
        // A blocked signal reaches a signalfd although it is ignored.
        struct sigaction action;
        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN) continue;
        sigaddset(&set, signals[i]);
    }
    int result = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (result != 0) return -result;
    signal(SIGPIPE, SIG_IGN);
    int descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int culvert_signals_read(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t count = read(descriptor, &info, sizeof info);
    if (count == (ssize_t)sizeof info) return (int)info.ssi_signo;
    return count < 0 ? -errno : -EIO;
}

int culvert_network_changes_open(void) {
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (descriptor < 0) return -errno;
    struct sockaddr_nl address;
    memset(&address, 0, sizeof address);
    address.nl_family = AF_NETLINK;
    address.nl_groups =
        RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
}

int culvert_network_changes_drain(int descriptor) {
    // Aligned for the message headers; what does not fit is a burst, and a burst matters as a whole.
    uint32_t buffer[4096];
    int mattered = 0;
    for (;;) {
        ssize_t count = recv(descriptor, buffer, sizeof buffer, MSG_DONTWAIT);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == ENOBUFS) { mattered++; continue; }
        if (count <= 0) return mattered;
        unsigned length = (unsigned)count;
        for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, length);
             header = NLMSG_NEXT(header, length)) {
            // Only what can bring a path back: a link or an address or a route that has come.
            if (header->nlmsg_type == RTM_NEWLINK || header->nlmsg_type == RTM_NEWADDR
                || header->nlmsg_type == RTM_NEWROUTE)
                mattered++;
        }
    }
}
