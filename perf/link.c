// A link between two network namespaces: delay, rate, a queue that overflows and loss, of its own for each direction.
//
//   link NAMESPACE NAMESPACE MTU DIRECTION DIRECTION
//
// NAMESPACE is a file (/run/netns/NAME), DIRECTION is DELAY_NS:BITS_A_SECOND:QUEUE_BYTES:LOSS_IN_A_MILLION:SEED, the
// first from the first namespace to the second; a rate of 0 is no limit. In each namespace it makes a TUN device
// `link0`, prints `ready` and carries until SIGTERM, SIGINT or its parent's end; then it prints what it counted, one line
// a direction. The devices are not persistent: however it ends, they go with it.
//
// A packet is sent at the time at which the one before it has left the line (the virtual finish time of a single
// server): what has come in but not left is the queue, and a packet that does not fit in it is dropped. A packet that is
// lost has taken its time on the line. Bytes are those of IP packets: no Ethernet header, no gap between frames.
//
// TUN moves one packet a call and has no call for several. What batching there is: every packet that waits is read
// before any is written, and every packet that is due is written before the next wait. Nothing is copied but by those
// two calls. Without traffic it sleeps; otherwise until the next packet is due, to the nanosecond.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND = 1000000000;
// Packets read from one device before the other has its turn.
enum { TURN = 64, MOST_MTU = 65535, MOST_QUEUED_AT_DEVICE = 10000 };
// What is kept of a direction without a rate, bytes.
static const double UNLIMITED_ROOM = 512e6;

struct packet {
    int64_t due;      // when it arrives; -1 where the ring goes on at its start
    uint64_t length;  // bytes that follow
};

struct direction {
    int source, sink;
    int64_t delay;           // ns, one way
    int64_t rate;            // bits a second
    int64_t limit;           // bytes of queue
    uint64_t loss, random;   // in a million; the state of the random numbers
    int64_t line_free;       // when the last packet has left the line
    uint8_t *ring;           // packets on their way, each aligned to 8
    size_t size, head, tail; // head: the first packet; tail: behind the last
    size_t room;             // bytes in the ring that are free
    uint64_t packets, bytes, dropped, lost, refused, overflowed;
    int64_t latest;          // the most that a packet was late, ns: more than a little, and the figures are the machine's
};

static volatile sig_atomic_t ended;
static void on_end(int number) { ended = number; }

static void fail(const char *what) {
    fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

// splitmix64
static uint64_t next_random(uint64_t *state) {
    uint64_t value = *state += 0x9e3779b97f4a7c15;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
}

// A TUN device in the namespace, up; this process stays in that namespace.
static int open_device(const char *namespace, int mtu) {
    int place = open(namespace, O_RDONLY | O_CLOEXEC);
    if (place < 0 || setns(place, CLONE_NEWNET) < 0) fail(namespace);
    close(place);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) fail("/dev/net/tun");
    struct ifreq request = {.ifr_name = "link0"};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(device, TUNSETIFF, &request) < 0) fail("TUNSETIFF");
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_mtu = mtu;
    if (control < 0 || ioctl(control, SIOCSIFMTU, &request) < 0) fail("the device's MTU");
    // Packets are to be dropped here, where they are counted, not on the way here.
    request.ifr_qlen = MOST_QUEUED_AT_DEVICE;
    if (ioctl(control, SIOCSIFTXQLEN, &request) < 0) fail("the device's queue");
    if (ioctl(control, SIOCGIFFLAGS, &request) < 0) fail("the device's flags");
    request.ifr_flags |= IFF_UP;
    if (ioctl(control, SIOCSIFFLAGS, &request) < 0) fail("the device does not come up");
    close(control);
    return device;
}

static struct direction parse(const char *text) {
    struct direction it = {.ring = NULL};
    int used = 0;
    int fields = sscanf(text, "%" SCNd64 ":%" SCNd64 ":%" SCNd64 ":%" SCNu64 ":%" SCNu64 "%n", &it.delay, &it.rate,
                        &it.limit, &it.loss, &it.random, &used);
    if (fields != 5 || text[used] != 0 || it.delay < 0 || it.delay > 100 * SECOND || it.rate < 0 || it.limit < 0 ||
        it.loss > 1000000) {
        fprintf(stderr, "link: no direction: %s\n", text);
        exit(2);
    }
    return it;
}

// Room for what the line and the queue can hold at once, with what a packet of 40 bytes takes here besides.
static void make_ring(struct direction *it) {
    double held = it->rate == 0 ? UNLIMITED_ROOM : it->rate / 8.0 * it->delay / SECOND + it->limit;
    it->size = ((size_t)(held * 1.5) + 64 * MOST_MTU) & ~(size_t)4095;
    it->ring = mmap(NULL, it->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (it->ring == MAP_FAILED) fail("memory for the packets on their way");
    it->room = it->size;
}

static size_t space(size_t length) { return (sizeof(struct packet) + length + 7) & ~(size_t)7; }

static struct packet *at(struct direction *it, size_t place) { return (struct packet *)(it->ring + place); }

// Reads what waits at the source and decides when each packet arrives, or that it never does. A packet came in when it
// was read. False when the source has no more.
static bool take_in(struct direction *it, size_t mtu) {
    for (int count = 0; count < TURN; count++) {
        // A packet lies in one piece.
        size_t rest = it->size - it->tail;
        if (rest < space(mtu) && it->room > rest) {
            if (rest >= sizeof(struct packet)) at(it, it->tail)->due = -1;
            it->room -= rest;
            it->tail = 0;
        }
        static uint8_t waste[MOST_MTU];
        bool fits = it->room > space(mtu) && it->size - it->tail >= space(mtu);
        struct packet *packet = at(it, it->tail);
        ssize_t length = read(it->source, fits ? (uint8_t *)(packet + 1) : waste, mtu);
        if (length < 0) {
            if (errno == EAGAIN || errno == EINTR) return false;
            fail("reading from a device");
        }
        if (!fits) {
            it->overflowed++;
            continue;
        }
        int64_t time = now(), start = it->line_free > time ? it->line_free : time;
        if (it->rate > 0) {
            double queued = (double)(start - time) * it->rate / 8 / SECOND;
            if (queued + length > it->limit && start > time) {
                it->dropped++;
                continue;
            }
            start += (int64_t)(length * 8.0 * SECOND / it->rate);
        }
        it->line_free = start;
        if (it->loss > 0 && next_random(&it->random) % 1000000 < it->loss) {
            it->lost++;
            continue;
        }
        packet->due = start + it->delay;
        packet->length = length;
        it->tail += space(length);
        it->room -= space(length);
    }
    return true;
}

// Writes every packet that is due. When the next one is due, or -1.
static int64_t give_out(struct direction *it) {
    while (it->room < it->size) {
        struct packet *packet = at(it, it->head);
        if (it->size - it->head < sizeof(struct packet) || packet->due < 0) {
            it->room += it->size - it->head;
            it->head = 0;
            continue;
        }
        int64_t late = now() - packet->due;
        if (late < 0) return packet->due;
        if (late > it->latest) it->latest = late;
        if (write(it->sink, packet + 1, packet->length) == (ssize_t)packet->length) {
            it->packets++;
            it->bytes += packet->length;
        } else {
            it->refused++;
        }
        it->head += space(packet->length);
        it->room += space(packet->length);
    }
    it->head = it->tail = 0;
    return -1;
}

static void carry(struct direction way[2], size_t mtu) {
    sigset_t with_signals;
    sigprocmask(SIG_SETMASK, NULL, &with_signals);
    sigdelset(&with_signals, SIGTERM);
    sigdelset(&with_signals, SIGINT);
    while (!ended) {
        bool more = false;
        int64_t due = -1;
        for (int index = 0; index < 2; index++) more |= take_in(&way[index], mtu);
        for (int index = 0; index < 2; index++) {
            int64_t next = give_out(&way[index]);
            if (next >= 0 && (due < 0 || next < due)) due = next;
        }
        int64_t wait = more ? 0 : due < 0 ? -1 : due - now();
        if (due >= 0 && wait < 0) wait = 0;
        struct timespec time = {.tv_sec = wait / SECOND, .tv_nsec = wait % SECOND};
        struct pollfd devices[2] = {{.fd = way[0].source, .events = POLLIN}, {.fd = way[1].source, .events = POLLIN}};
        // The signals come in here only: an end between the question and the wait is not missed.
        if (ppoll(devices, 2, wait < 0 ? NULL : &time, &with_signals) < 0 && errno != EINTR) fail("ppoll");
    }
}

int main(int count, char **words) {
    int mtu = count == 6 ? atoi(words[3]) : 0;
    if (mtu < 68 || mtu > MOST_MTU) {
        fprintf(stderr, "usage: link NAMESPACE NAMESPACE MTU DELAY_NS:BITS_A_SECOND:QUEUE_BYTES:LOSS_IN_A_MILLION:SEED "
                        "(the same for the way back)\n");
        return 2;
    }
    struct direction way[2] = {parse(words[4]), parse(words[5])};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    struct sigaction action = {.sa_handler = on_end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    // Whoever started this may be killed. One that is gone already is told by the broken pipe of `ready`.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    // A timer is otherwise up to 50 us late.
    prctl(PR_SET_TIMERSLACK, 1);
    // A packet must not wait for the programs that are measured; it sleeps when nothing is due.
    struct sched_param priority = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_RR, &priority) < 0) fprintf(stderr, "link: without real-time priority\n");

    way[0].source = way[1].sink = open_device(words[1], mtu);
    way[1].source = way[0].sink = open_device(words[2], mtu);
    for (int index = 0; index < 2; index++) make_ring(&way[index]);
    printf("ready\n");
    if (fflush(stdout) != 0) return 1;
    carry(way, mtu);
    for (int index = 0; index < 2; index++) {
        const struct direction *it = &way[index];
        printf("packets=%" PRIu64 " bytes=%" PRIu64 " dropped=%" PRIu64 " lost=%" PRIu64 " refused=%" PRIu64
               " overflowed=%" PRIu64 " latest_ns=%" PRId64 "\n",
               it->packets, it->bytes, it->dropped, it->lost, it->refused, it->overflowed, it->latest);
    }
    return 0;
}
