// The kernel calls that Swift cannot see or cannot spell: io_uring through liburing, epoll, and what needs
// _GNU_SOURCE. Every function returns -errno on failure and never sets anything that Swift must read; an
// interrupted call (EINTR) is made again. No _GNU_SOURCE here: a header that defines it breaks Swift's own view of
// the C library.
#ifndef CLINUX_H
#define CLINUX_H

#include <stdint.h>
#include <stddef.h>

// MARK: io_uring

typedef struct culvert_ring culvert_ring;

typedef struct {
    uint64_t token;
    int32_t result;
    uint32_t flags;
} culvert_completion;

// Flags of a completion.
#define CULVERT_COMPLETION_BUFFER 1u // `result` bytes lie in the provided buffer whose number is flags >> 16

// A ring for the calling thread alone: single issuer with deferred task running, or cooperative task running where
// the kernel has no more. -ENOSYS, -EPERM: not to be had here.
int culvert_ring_create(culvert_ring **ring, unsigned entries, unsigned completions);
void culvert_ring_destroy(culvert_ring *ring);
int culvert_ring_descriptor(const culvert_ring *ring);
// Whether the ring runs its task work only when it is entered.
int culvert_ring_defers(const culvert_ring *ring);

// One request each; submitted by the next turn, or at once when the queue is full. *position tells
// culvert_ring_withdraw where the request stands.
int culvert_ring_poll(culvert_ring *ring, int descriptor, uint32_t events, uint64_t token, uint32_t *position);
int culvert_ring_receive(culvert_ring *ring, int descriptor, uint64_t token, uint32_t *position);
int culvert_ring_cancel(culvert_ring *ring, uint64_t target, uint64_t token);
// Takes back a request that the kernel has not seen yet: 1 (it will complete with the token `replacement`), 0 when the
// kernel has it. A descriptor is never closed over such a request: it would reach the number's next owner.
int culvert_ring_withdraw(culvert_ring *ring, uint32_t position, uint64_t token, uint64_t replacement);

// Submits what is queued and waits for a completion: `nanoseconds` < 0 for ever, 0 not at all.
int culvert_ring_turn(culvert_ring *ring, int64_t nanoseconds);
// As above, but waits for `count` completions for the first `microseconds`, then for one. Only where
// culvert_ring_gathers.
int culvert_ring_turn_gathering(culvert_ring *ring, int64_t nanoseconds, unsigned count, uint32_t microseconds);
int culvert_ring_gathers(const culvert_ring *ring);
// 0 when a request that does nothing completes within a second: the ring is not only made, it works.
int culvert_ring_prove(culvert_ring *ring);
// Takes at most `capacity` completions out of the ring.
int culvert_ring_reap(culvert_ring *ring, culvert_completion *completions, unsigned capacity);

// The provided-buffer ring that culvert_ring_receive selects from: `count` (a power of two) slots of `length` bytes.
int culvert_ring_provide(culvert_ring *ring, void *base, unsigned length, unsigned count);
void culvert_ring_return(culvert_ring *ring, unsigned number);

// MARK: epoll

typedef struct {
    uint64_t data;
    uint32_t events;
} culvert_event;

#define CULVERT_IN 0x001u
#define CULVERT_OUT 0x004u
#define CULVERT_ERROR 0x008u
#define CULVERT_HANGUP 0x010u
#define CULVERT_PEER_HANGUP 0x2000u

int culvert_epoll_create(void);
// operation: 1 add, 2 delete, 3 modify, as EPOLL_CTL_*.
int culvert_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data);
int culvert_epoll_wait(int epoll, culvert_event *events, int capacity, int64_t nanoseconds);

// MARK: sockets

typedef struct {
    uint32_t length;
    uint8_t bytes[124];
} culvert_address;

// Numeric and named hosts; at most `capacity` results in the resolver's order. Negative: a getaddrinfo error code
// minus 10000, or -errno. `family`: 0 any, 4, 6. `host` NULL: the wildcard addresses. `numeric`: no name is looked up.
int culvert_resolve(const char *host, uint16_t port, int family, int numeric, culvert_address *out, int capacity);
const char *culvert_resolve_error(int code);
// 1: the same question may have an answer soon.
int culvert_resolve_error_is_temporary(int code);
// The addresses of an interface that is up, at most one of each family; such as reach other machines go before others.
int culvert_interface_addresses(const char *name, culvert_address out[2]);
int culvert_address_unix(const char *path, culvert_address *out);
// 4, 6, or 1 for a Unix socket; 0 for none.
int culvert_address_family(const culvert_address *address);
uint16_t culvert_address_port(const culvert_address *address);
// The numeric host, or the path.
int culvert_address_host(const culvert_address *address, char *out, size_t capacity);
int culvert_local_address(int descriptor, culvert_address *out);
int culvert_peer_address(int descriptor, culvert_address *out);

// `resets_accepted`: an accepted socket that is closed without more ends with a reset.
int culvert_listen(const culvert_address *address, int backlog, unsigned unix_mode_mask, int resets_accepted);
// A connection that is being made: >= 0 the descriptor, *pending tells whether it is still under way. `source` may be
// NULL: the address to bind first.
int culvert_connect(const culvert_address *address, const culvert_address *source, int *pending);
// 1: there is no way to that address now, or the source is none of this machine's: what is connected there fails at once,
// with nothing sent.
int culvert_leads_nowhere(const culvert_address *address, const culvert_address *source);
int culvert_socket_error(int descriptor);
// The user at the other end of a Unix socket, when it was connected.
int64_t culvert_peer_user(int descriptor);
int64_t culvert_own_user(void);
// The file of a Unix socket, and its removal where it is still that file.
int culvert_socket_file(const culvert_address *address, uint64_t *device, uint64_t *inode);
int culvert_remove_socket(const culvert_address *address, uint64_t device, uint64_t inode);
int culvert_accept(int listener, culvert_address *peer);
int culvert_socketpair(int descriptors[2]);
int culvert_pipe(int descriptors[2]);
int culvert_set_nodelay(int descriptor);
// Sends an acknowledgement that is held back.
int culvert_acknowledge(int descriptor);
int culvert_set_keepalive(int descriptor, int on);
int culvert_set_not_sent_low_water(int descriptor, int bytes);
// How often the kernel repeats a SYN that nothing answers, at least once (TCP_SYNCNT).
int culvert_set_syn_count(int descriptor, int count);
int culvert_set_linger_reset(int descriptor);
int culvert_set_linger_default(int descriptor);
int culvert_set_nonblocking(int descriptor, int on);
// Microseconds of smoothed round trip time, or of the least seen in the last minutes; -errno when it is no TCP socket.
int culvert_round_trip_microseconds(int descriptor, int least);
/// Milliseconds since the peer's kernel acknowledged anything; -errno when it is no TCP socket.
long long culvert_acknowledged_milliseconds_ago(int descriptor);
// Bytes in the socket's send queue that have not been sent.
int culvert_unsent(int descriptor);
// Bytes in the socket's send queue that the peer has not acknowledged, a FIN counted as one.
int culvert_unacknowledged(int descriptor);
// 1 when the peer has ended its direction or the connection was reset; at a Unix socket only when the peer has closed.
int culvert_peer_has_gone(int descriptor);
// 1 when the connection was reset or has failed, 0 when not. An ended one, with bytes still to be read, is not reset.
int culvert_is_reset(int descriptor);

int64_t culvert_send(int descriptor, const void *bytes, size_t count);
int64_t culvert_receive(int descriptor, void *bytes, size_t count);
// `slots` slots at `first + i * stride`, each of `length` bytes, the last of `last` bytes.
int64_t culvert_receive_slots(int descriptor, void *first, size_t stride, size_t length, size_t last, int slots);
// Gather: `count` ranges.
typedef struct {
    const void *start;
    size_t count;
} culvert_range;
int64_t culvert_send_ranges(int descriptor, const culvert_range *ranges, int count);
int64_t culvert_read(int descriptor, void *bytes, size_t count);
int64_t culvert_write(int descriptor, const void *bytes, size_t count);
// direction: 0 read, 1 write, 2 both.
int culvert_shutdown(int descriptor, int direction);
/// Another name of the same open file, not inherited by programs.
int culvert_duplicate(int descriptor);
int culvert_close(int descriptor);
// Waits for one descriptor: events as CULVERT_IN/OUT; 0 on time-out.
int culvert_wait(int descriptor, uint32_t events, int64_t nanoseconds);
typedef struct {
    int32_t descriptor;
    uint32_t events;
    uint32_t ready;
} culvert_interest;
// Two ends of a line of packets that may carry descriptors; calls on it do not wait. 1 from `is_line`: it is such an end.
int culvert_line_pair(int descriptors[2]);
int culvert_is_line(int descriptor);
// One packet, never an empty one. Descriptors are duplicated for whoever receives them.
int64_t culvert_line_send(int descriptor, const void *bytes, size_t count, const int *attached, int attached_count);
// 0: the other end has gone; -EMSGSIZE: the packet did not fit. *attached_count: room, then how many came: none where not
// all could be had.
int64_t culvert_line_receive(int descriptor, void *bytes, size_t capacity, int *attached, int *attached_count);
int culvert_wait_many(culvert_interest *interests, int count, int64_t nanoseconds);

// MARK: threads, memory, process

// The C library's words for an error number.
void culvert_error_text(int number, char *out, size_t capacity);

int culvert_event_create(void);
void culvert_event_signal(int descriptor);
void culvert_event_drain(int descriptor);

// `size` bytes (a multiple of the page size) that are mapped twice, one copy after the other.
int culvert_mirror_map(size_t size, void **base);
void culvert_mirror_unmap(void *base, size_t size);
// Pages that are only made when touched, left out of core dumps.
void *culvert_memory_map(size_t size);
// The same memory, `larger` bytes long; where it lies may change. NULL: there is no room, and nothing has changed.
void *culvert_memory_grow(void *base, size_t size, size_t larger);
void culvert_memory_unmap(void *base, size_t size);
// Gives the pages back; they read as zero afterwards.
void culvert_memory_discard(void *base, size_t size);

// The processors this thread may run on, as their numbers; returns how many.
int culvert_processors(int *numbers, int capacity);
int culvert_pin(int processor);
int culvert_current_processor(void);
void culvert_name_thread(const char *name);
// Waits of this thread end within a microsecond of their time, where a thread's default is fifty.
void culvert_wake_on_time(void);
// Starts a detached thread on a small stack with every signal blocked but those of faults, which have a stack of their own.
int culvert_thread_start(void *(*body)(void *), void *argument);

uint64_t culvert_clock(void);          // CLOCK_MONOTONIC, nanoseconds
uint64_t culvert_clock_boottime(void); // goes on while the machine sleeps

// From now on a fault of the program (SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE) ends the process at once, with
// one line on standard error and exit status 70: the signal, the thread's name, and the address of the instruction, or of
// what called it from the program, counted from where the program was loaded. Called by the first thread, before there is
// another. With CULVERT_BACKTRACE=1 in the environment the handlers stay as they are: the Swift runtime's, for developers.
void culvert_faults_end_at_once(const char *program, const char *version);
// Ends the process with one line and status 71: memory that it cannot do without is not there. `what` says for what.
_Noreturn void culvert_end_without_memory(const char *what);
// The line is also written there; -1: no longer.
void culvert_faults_also_to(int descriptor);

int64_t culvert_raise_descriptor_limit(void); // returns the limit
// The soft limit before it was first raised, 0 when it never was: programs that others wrote are started with it.
uint64_t culvert_first_descriptor_limit(void);
int culvert_forbid_core_dumps(void);
int culvert_no_new_privileges(void);
// SIGTERM comes when the parent goes, which must still be `parent`; 0: it does not come any more. For the thread that a
// fork began with.
int culvert_end_with_parent(int parent);
// Descriptors 0 to 2 that are closed become /dev/null, so that none of ours is taken for one of them.
int culvert_fill_standard_descriptors(void);
// Where the address space is limited, all threads allocate from one heap: each of their own would reserve 64 MiB of it.
void culvert_spare_address_space(void);
// Sends one datagram to a Unix socket; a path that begins with '@' is abstract (sd_notify(3)).
int culvert_send_datagram(const char *path, const void *bytes, size_t count);
// fork(2); only while the process has one thread. 0 in the child.
int culvert_fork(void);
// Starts `shell -c command` in a session of its own: `input`, `output` and `errors` are its standard streams, nothing else
// is open, no signal is blocked or ignored. SIGTERM comes to it when the calling thread ends,
// whatever ends it. Returns its number, or -errno, also when the shell cannot be executed.
int culvert_spawn_shell(const char *shell, const char *command, int input, int output, int errors);
// The program's arguments, its name first; NULL behind the last.
const char *culvert_argument(int number);
// Executes `path` anew, as a process of its own: `line` is its descriptor 3 and `errors` its standard error, standard input
// and output are /dev/null, nothing else is open. SIGINT, SIGTERM, SIGHUP and SIGUSR1 are blocked in it, and every signal
// has its default action, faults too. `argument` is its only one. Returns its number, or -errno. Safe whatever other
// threads do (posix_spawn).
int culvert_spawn_anew(const char *path, const char *argument, int line, int errors);
// In such a process, first: SIGKILL comes to it when the thread that started it goes.
int culvert_end_with_starter(void);
// In bytes, for the whole process. 0: it has as much already, as sanitizers do, and no limit was set.
int culvert_limit_address_space(uint64_t bytes);
// A descriptor that is readable when the child has ended; -errno where the kernel has none.
int culvert_child_watch(int child);
// 1 when the child has ended and waits to be reaped.
int culvert_child_has_ended(int child);
// Waits for the child's end: its exit status, or 256 and the signal that ended it; -errno.
int culvert_child_reap(int child);
// Reaps children that have ended and that the calling thread has started or inherited. Returns how many.
int culvert_reap_orphans(void);
// Blocks the signals for every thread to come and returns a descriptor that reports them.
int culvert_signals_open(const int *signals, int count);
int culvert_signals_read(int descriptor);
// Link, address and route changes of the network (rtnetlink). Drain tells how many messages mattered.
int culvert_network_changes_open(void);
int culvert_network_changes_drain(int descriptor);

#endif
