#define _GNU_SOURCE 1
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <liburing.h>
#include "CLinux.h"

// Newer than Debian 12's headers in part; the kernel refuses what it does not know, and creation falls back.
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)
#endif

// struct io_uring_getevents_arg of kernels with IORING_FEAT_MIN_TIMEOUT: older headers call the third field padding.
struct wait_argument {
    uint64_t signals;
    uint32_t signals_size;
    uint32_t least_microseconds;
    uint64_t timeout;
};

enum { BUFFER_GROUP = 0 };

struct culvert_ring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    uint8_t *base;
    unsigned length;
    unsigned count;
    int defers;
    int gathers;
};

static int supports_all(struct io_uring *ring) {
    static const int needed[] = {IORING_OP_POLL_ADD, IORING_OP_RECV, IORING_OP_ASYNC_CANCEL};
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (!probe) return 0;
    int all = 1;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        all = all && io_uring_opcode_supported(probe, needed[i]);
    io_uring_free_probe(probe);
    return all;
}

int culvert_ring_create(culvert_ring **out, unsigned entries, unsigned completions) {
    culvert_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return -ENOMEM;
    // Deferred task running made requests at 50 connections a third cheaper than no flags; cooperative is next best.
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_COOP_TASKRUN,
    };
    int result = -ENOSYS;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        struct io_uring_params parameters;
        memset(&parameters, 0, sizeof parameters);
        parameters.flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
        parameters.cq_entries = completions;
        result = io_uring_queue_init_params(entries, &ring->ring, &parameters);
        if (result == 0) {
            ring->defers = (flags[i] & IORING_SETUP_DEFER_TASKRUN) != 0;
            // Timeouts ride on the wait itself, and a full completion queue must lose nothing.
            unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
            for (unsigned i = 0; i < parameters.sq_entries; i++) ring->ring.sq.array[i] = i;
            ring->gathers = (parameters.features & IORING_FEAT_MIN_TIMEOUT) != 0;
            if ((parameters.features & needed) == needed && supports_all(&ring->ring)) {
                *out = ring;
                return 0;
            }
            io_uring_queue_exit(&ring->ring);
            result = -ENOSYS;
        }
        if (result != -EINVAL && result != -ENOSYS) break;
    }
    free(ring);
    return result;
}

void culvert_ring_destroy(culvert_ring *ring) {
    // What is under way holds its sockets until the kernel has got round to ending it; asked for, it is done at once.
    // Kernels before 6.0 refuse, and end it a little later.
    struct io_uring_sync_cancel_reg everything;
    memset(&everything, 0, sizeof everything);
    everything.fd = -1;
    everything.flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY;
    everything.timeout.tv_nsec = 100000000;
    if (io_uring_register_sync_cancel(&ring->ring, &everything) >= 0) io_uring_get_events(&ring->ring);
    // Before its memory goes: without the group no request can choose a buffer any more.
    if (ring->buffers) {
        io_uring_unregister_buf_ring(&ring->ring, BUFFER_GROUP);
        munmap(ring->buffers, ring->count * sizeof(struct io_uring_buf));
    }
    io_uring_queue_exit(&ring->ring);
    free(ring);
}

int culvert_ring_descriptor(const culvert_ring *ring) { return ring->ring.ring_fd; }
int culvert_ring_defers(const culvert_ring *ring) { return ring->defers; }

static struct io_uring_sqe *next_entry(culvert_ring *ring) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (entry) return entry;
    io_uring_submit(&ring->ring);
    return io_uring_get_sqe(&ring->ring);
}

// The entry that was handed out last stands just before the tail.
static uint32_t last_position(const culvert_ring *ring) { return ring->ring.sq.sqe_tail - 1; }

int culvert_ring_poll(culvert_ring *ring, int descriptor, uint32_t events, uint64_t token, uint32_t *position) {
    struct io_uring_sqe *entry = next_entry(ring);
    if (!entry) return -EBUSY;
    io_uring_prep_poll_add(entry, descriptor, events);
    io_uring_sqe_set_data64(entry, token);
    *position = last_position(ring);
    return 0;
}

int culvert_ring_receive(culvert_ring *ring, int descriptor, uint64_t token, uint32_t *position) {
    struct io_uring_sqe *entry = next_entry(ring);
    if (!entry) return -EBUSY;
    io_uring_prep_recv(entry, descriptor, NULL, ring->length, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data64(entry, token);
    *position = last_position(ring);
    return 0;
}

int culvert_ring_cancel(culvert_ring *ring, uint64_t target, uint64_t token) {
    struct io_uring_sqe *entry = next_entry(ring);
    if (!entry) return -EBUSY;
    io_uring_prep_cancel64(entry, target, 0);
    io_uring_sqe_set_data64(entry, token);
    return 0;
}

int culvert_ring_withdraw(culvert_ring *ring, uint32_t position, uint64_t token, uint64_t replacement) {
    struct io_uring_sq *queue = &ring->ring.sq;
    uint32_t waiting = queue->sqe_tail - *queue->khead;
    if (position - *queue->khead >= waiting) return 0;
    struct io_uring_sqe *entry = &queue->sqes[position & queue->ring_mask];
    // The position alone repeats after 2^32 requests.
    if (entry->user_data != token) return 0;
    io_uring_prep_nop(entry);
    io_uring_sqe_set_data64(entry, replacement);
    return 1;
}

int culvert_ring_gathers(const culvert_ring *ring) { return ring->gathers; }

int culvert_ring_turn_gathering(culvert_ring *ring, int64_t nanoseconds, unsigned count, uint32_t microseconds) {
    if (nanoseconds == 0 || io_uring_cq_ready(&ring->ring) > 0) return culvert_ring_turn(ring, nanoseconds);
    struct __kernel_timespec wait = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    struct wait_argument argument = {
        .signals_size = _NSIG / 8,
        .least_microseconds = microseconds,
        .timeout = nanoseconds < 0 ? 0 : (uint64_t)(uintptr_t)&wait,
    };
    // What io_uring_submit does before its call; slot and entry have the same index (culvert_ring_create).
    struct io_uring_sq *queue = &ring->ring.sq;
    queue->sqe_head = queue->sqe_tail;
    __atomic_store_n(queue->ktail, queue->sqe_tail, __ATOMIC_RELEASE);
    unsigned queued = queue->sqe_tail - __atomic_load_n(queue->khead, __ATOMIC_ACQUIRE);
    int64_t result = syscall(__NR_io_uring_enter, ring->ring.ring_fd, queued, count,
                             IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
    if (result < 0 && errno != ETIME && errno != EINTR && errno != EBUSY && errno != EAGAIN) return -errno;
    return 0;
}

int culvert_ring_turn(culvert_ring *ring, int64_t nanoseconds) {
    int result;
    if (nanoseconds == 0) {
        result = io_uring_submit_and_get_events(&ring->ring);
    } else if (io_uring_cq_ready(&ring->ring) > 0) {
        result = io_uring_submit(&ring->ring);
    } else {
        struct io_uring_cqe *completion;
        struct __kernel_timespec wait = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
        result = io_uring_submit_and_wait_timeout(&ring->ring, &completion, 1, nanoseconds < 0 ? NULL : &wait, NULL);
    }
    // Time, a signal and a full completion queue all mean the same: reap what is there.
    if (result == -ETIME || result == -EINTR || result == -EBUSY || result == -EAGAIN) return 0;
    return result;
}

int culvert_ring_prove(culvert_ring *ring) {
    struct io_uring_sqe *entry = next_entry(ring);
    if (!entry) return -EBUSY;
    io_uring_prep_nop(entry);
    io_uring_sqe_set_data64(entry, 0);
    int result = culvert_ring_turn(ring, 1000000000);
    if (result < 0) return result;
    culvert_completion completion;
    return culvert_ring_reap(ring, &completion, 1) == 1 ? 0 : -EIO;
}

int culvert_ring_reap(culvert_ring *ring, culvert_completion *completions, unsigned capacity) {
    unsigned head, count = 0;
    struct io_uring_cqe *entry;
    io_uring_for_each_cqe(&ring->ring, head, entry) {
        if (count == capacity) break;
        completions[count].token = entry->user_data;
        completions[count].result = entry->res;
        completions[count].flags =
            (entry->flags & IORING_CQE_F_BUFFER)
                ? CULVERT_COMPLETION_BUFFER | (entry->flags >> IORING_CQE_BUFFER_SHIFT) << 16 : 0;
        count++;
    }
    io_uring_cq_advance(&ring->ring, count);
    return (int)count;
}

int culvert_ring_provide(culvert_ring *ring, void *base, unsigned length, unsigned count) {
    size_t size = count * sizeof(struct io_uring_buf);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED) return -errno;
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t)(uintptr_t)memory;
    registration.ring_entries = count;
    registration.bgid = BUFFER_GROUP;
    int result = io_uring_register_buf_ring(&ring->ring, &registration, 0);
    if (result < 0) {
        munmap(memory, size);
        return result;
    }
    ring->buffers = memory;
    ring->base = base;
    ring->length = length;
    ring->count = count;
    io_uring_buf_ring_init(ring->buffers);
    for (unsigned i = 0; i < count; i++)
        io_uring_buf_ring_add(ring->buffers, ring->base + (size_t)i * length, length, (unsigned short)i,
                              io_uring_buf_ring_mask(count), (int)i);
    io_uring_buf_ring_advance(ring->buffers, (int)count);
    return 0;
}

void culvert_ring_return(culvert_ring *ring, unsigned number) {
    io_uring_buf_ring_add(ring->buffers, ring->base + (size_t)number * ring->length, ring->length,
                          (unsigned short)number, io_uring_buf_ring_mask(ring->count), 0);
    io_uring_buf_ring_advance(ring->buffers, 1);
}
