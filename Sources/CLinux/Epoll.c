#define _GNU_SOURCE 1
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include "CLinux.h"

_Static_assert(CULVERT_IN == EPOLLIN && CULVERT_OUT == EPOLLOUT && CULVERT_ERROR == EPOLLERR
                   && CULVERT_HANGUP == EPOLLHUP && CULVERT_PEER_HANGUP == EPOLLRDHUP, "event bits");

int culvert_epoll_create(void) {
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int culvert_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

// Set where the precise wait cannot be had: a kernel before 5.11, or a filter that does not know the call.
static atomic_bool waits_coarsely;

static int wait_precisely(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds) {
    struct timespec wait = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int count = epoll_pwait2(epoll, events, capacity, nanoseconds < 0 ? NULL : &wait, NULL);
    if (count < 0 && (errno == ENOSYS || errno == EPERM)) atomic_store(&waits_coarsely, 1);
    return count;
}

int culvert_epoll_wait(int epoll, culvert_event *out, int capacity, int64_t nanoseconds) {
    struct epoll_event events[256];
    if (capacity > 256) capacity = 256;
    int count = -1;
    if (!atomic_load(&waits_coarsely)) count = wait_precisely(epoll, events, capacity, nanoseconds);
    if (atomic_load(&waits_coarsely)) {
        // Rounded up: a wait that ends before its time would only be made again.
        int64_t milliseconds = nanoseconds < 0 ? -1 : (nanoseconds + 999999) / 1000000;
        if (milliseconds > 1000000000) milliseconds = 1000000000;
        count = epoll_wait(epoll, events, capacity, (int)milliseconds);
    }
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        out[i].data = events[i].data.u64;
        out[i].events = events[i].events;
    }
    return count;
}
