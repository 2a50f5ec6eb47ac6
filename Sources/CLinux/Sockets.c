#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include "CLinux.h"

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25
#endif

_Static_assert(sizeof(struct sockaddr_un) <= sizeof(((culvert_address *)0)->bytes), "a Unix address fits");
_Static_assert(sizeof(struct sockaddr_in6) <= sizeof(((culvert_address *)0)->bytes), "an IPv6 address fits");
_Static_assert(sizeof(culvert_range) == sizeof(struct iovec), "a range is an iovec");

#define RETRY(call) ({ int64_t r_; do { r_ = (call); } while (r_ < 0 && errno == EINTR); r_ < 0 ? -(int64_t)errno : r_; })

static const struct sockaddr *generic(const culvert_address *address) { return (const struct sockaddr *)address->bytes; }

static void store(culvert_address *out, const void *address, socklen_t length) {
    memset(out, 0, sizeof *out);
    if (length > sizeof out->bytes) length = sizeof out->bytes;
    out->length = length;
    memcpy(out->bytes, address, length);
}

// MARK: addresses

int culvert_resolve(const char *host, uint16_t port, int family, int numeric, culvert_address *out, int capacity) {
    struct addrinfo hints, *results = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (host ? 0 : AI_PASSIVE) | (numeric ? AI_NUMERICHOST : 0);
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int result = getaddrinfo(host, service, &hints, &results);
    if (result == EAI_SYSTEM) return -errno;
    if (result != 0) return -10000 + (result < 0 ? result : -result);
    int count = 0;
    for (struct addrinfo *each = results; each && count < capacity; each = each->ai_next)
        store(&out[count++], each->ai_addr, each->ai_addrlen);
    freeaddrinfo(results);
    return count;
}

// Of this machine alone, or of its link alone.
static int is_near(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ((const struct sockaddr_in *)address)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || IN6_IS_ADDR_LINKLOCAL(six);
}

int culvert_interface_addresses(const char *name, culvert_address out[2]) {
    static const int families[] = {AF_INET, AF_INET6};
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0) return -errno;
    int count = 0;
    for (int index = 0; index < 2; index++) {
        const struct ifaddrs *found = NULL;
        for (const struct ifaddrs *each = all; each; each = each->ifa_next) {
            if (!each->ifa_addr || each->ifa_addr->sa_family != families[index] || !(each->ifa_flags & IFF_UP)
                || strcmp(each->ifa_name, name) != 0)
                continue;
            if (!found || (is_near(found->ifa_addr) && !is_near(each->ifa_addr))) found = each;
        }
        if (found)
            store(&out[count++], found->ifa_addr,
                  families[index] == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    }
    freeifaddrs(all);
    return count;
}

const char *culvert_resolve_error(int code) { return gai_strerror(code + 10000); }

int culvert_resolve_error_is_temporary(int code) {
    // -errno: the call itself failed.
    return code > -5000 || code + 10000 == EAI_AGAIN || code + 10000 == EAI_MEMORY;
}

int culvert_address_unix(const char *path, culvert_address *out) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    store(out, &address, sizeof address);
    return 0;
}

int culvert_address_family(const culvert_address *address) {
    if (address->length < sizeof(sa_family_t)) return 0;
    switch (generic(address)->sa_family) {
    case AF_INET: return 4;
    case AF_INET6: return 6;
    case AF_UNIX: return 1;
    default: return 0;
    }
}

uint16_t culvert_address_port(const culvert_address *address) {
    switch (culvert_address_family(address)) {
    case 4: return ntohs(((const struct sockaddr_in *)address->bytes)->sin_port);
    case 6: return ntohs(((const struct sockaddr_in6 *)address->bytes)->sin6_port);
    default: return 0;
    }
}

int culvert_address_host(const culvert_address *address, char *out, size_t capacity) {
    if (culvert_address_family(address) == 1) {
        snprintf(out, capacity, "%s", ((const struct sockaddr_un *)address->bytes)->sun_path);
        return 0;
    }
    if (address->length == 0) return -EINVAL;
    int result = getnameinfo(generic(address), address->length, out, capacity, NULL, 0, NI_NUMERICHOST);
    return result == 0 ? 0 : -EINVAL;
}

int culvert_local_address(int descriptor, culvert_address *out) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) return -errno;
    store(out, &address, length);
    return 0;
}

int culvert_peer_address(int descriptor, culvert_address *out) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getpeername(descriptor, (struct sockaddr *)&address, &length) < 0) return -errno;
    store(out, &address, length);
    return 0;
}

// MARK: making sockets

static int is_loopback(const culvert_address *address) {
    const struct sockaddr *any = generic(address);
    if (any->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)any)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return any->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)any)->sin6_addr);
}

// Loopback has no path to probe: a system's default that models one (BBR) only costs time and timers there. Accepted
// sockets inherit it; every process may choose this one; where it cannot be had, the default serves.
static void suit_loopback(int descriptor, const culvert_address *address) {
    static const char plain[] = "reno";
    if (is_loopback(address)) setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1);
}

// The umask is not touched: other threads make files meanwhile. The name is made with what the descriptor's mode and the
// umask leave of it, and widened afterwards where more is wanted.
static int bind_unix(int descriptor, const culvert_address *address, mode_t mode) {
    const char *path = ((const struct sockaddr_un *)address->bytes)->sun_path;
    if (fchmod(descriptor, mode & 0600) < 0) return -errno;
    if (bind(descriptor, generic(address), address->length) < 0) return -errno;
    struct stat made;
    if (lstat(path, &made) == 0 && (made.st_mode & 07777) == mode) return 0;
    if (chmod(path, mode) == 0) return 0;
    int error = errno;
    unlink(path);
    return -error;
}

int culvert_listen(const culvert_address *address, int backlog, unsigned unix_mode_mask, int resets_accepted) {
    int family = generic(address)->sa_family;
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int on = 1;
    if (family != AF_UNIX) {
        // A port whose last user has just gone is free at once; one that is listened on is still refused.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        // Accepted sockets inherit it, which saves a call for each of them.
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    suit_loopback(descriptor, address);
    // Inherited when the connection is made, which the kernel does from `listen` on.
    if (resets_accepted) culvert_set_linger_reset(descriptor);
    int result;
    if (family == AF_UNIX) result = bind_unix(descriptor, address, 0777 & ~(mode_t)unix_mode_mask);
    else result = bind(descriptor, generic(address), address->length) < 0 ? -errno : 0;
    if (result == 0 && listen(descriptor, backlog) < 0) result = -errno;
    if (result < 0) {
        close(descriptor);
        return result;
    }
    return descriptor;
}

int culvert_connect(const culvert_address *address, const culvert_address *source, int *pending) {
    int family = generic(address)->sa_family;
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int on = 1;
    if (family != AF_UNIX) setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    suit_loopback(descriptor, address);
    int result = 0;
    if (source && bind(descriptor, generic(source), source->length) < 0) result = -errno;
    if (result == 0) {
        *pending = 0;
        if (connect(descriptor, generic(address), address->length) < 0) {
            // An interrupted connect goes on by itself.
            if (errno == EINPROGRESS || errno == EINTR) *pending = 1;
            else result = -errno;
        }
    }
    if (result < 0) {
        close(descriptor);
        return result;
    }
    return descriptor;
}

int culvert_leads_nowhere(const culvert_address *address, const culvert_address *source) {
    // Connecting a datagram socket looks the route up, and sends nothing.
    int descriptor = socket(generic(address)->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return 0;
    int failed = (source && bind(descriptor, generic(source), source->length) < 0) ||
                 connect(descriptor, generic(address), address->length) < 0;
    int error = failed ? errno : 0;
    close(descriptor);
    return error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == EADDRNOTAVAIL;
}

int64_t culvert_peer_user(int descriptor) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ? -errno : (int64_t)peer.uid;
}

int64_t culvert_own_user(void) { return (int64_t)geteuid(); }

int culvert_remove_socket(const culvert_address *address, uint64_t device, uint64_t inode) {
    const char *path = ((const struct sockaddr_un *)address->bytes)->sun_path;
    struct stat found;
    if (lstat(path, &found) < 0) return -errno;
    if ((uint64_t)found.st_dev != device || (uint64_t)found.st_ino != inode) return -ESTALE;
    return unlink(path) < 0 ? -errno : 0;
}

int culvert_socket_file(const culvert_address *address, uint64_t *device, uint64_t *inode) {
    struct stat found;
    if (lstat(((const struct sockaddr_un *)address->bytes)->sun_path, &found) < 0) return -errno;
    *device = (uint64_t)found.st_dev;
    *inode = (uint64_t)found.st_ino;
    return 0;
}

int culvert_socket_error(int descriptor) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -errno;
    return -error;
}

int culvert_accept(int listener, culvert_address *peer) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int descriptor = (int)RETRY(accept4(listener, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (descriptor >= 0) store(peer, &address, length);
    return descriptor;
}

int culvert_socketpair(int descriptors[2]) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, descriptors) < 0 ? -errno : 0;
}

int culvert_pipe(int descriptors[2]) { return pipe2(descriptors, O_CLOEXEC) < 0 ? -errno : 0; }

int culvert_send_datagram(const char *path, const void *bytes, size_t count) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path) return -EINVAL;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = 0;
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    int result = sendto(descriptor, bytes, count, MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0 ? -errno : 0;
    close(descriptor);
    return result;
}

// MARK: options

static int set_option(int descriptor, int level, int name, int value) {
    return setsockopt(descriptor, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int culvert_set_nodelay(int descriptor) { return set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1); }
int culvert_acknowledge(int descriptor) { return set_option(descriptor, IPPROTO_TCP, TCP_QUICKACK, 1); }
int culvert_set_keepalive(int descriptor, int on) { return set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, on); }
int culvert_set_not_sent_low_water(int descriptor, int bytes) {
    return set_option(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
}

int culvert_set_syn_count(int descriptor, int count) { return set_option(descriptor, IPPROTO_TCP, TCP_SYNCNT, count); }

int culvert_set_linger_reset(int descriptor) {
    struct linger value = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, sizeof value) < 0 ? -errno : 0;
}

int culvert_set_linger_default(int descriptor) {
    struct linger value = {.l_onoff = 0, .l_linger = 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, sizeof value) < 0 ? -errno : 0;
}

int culvert_set_nonblocking(int descriptor, int on) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(descriptor, F_SETFL, flags) < 0 ? -errno : 0;
}

int culvert_unsent(int descriptor) {
    int bytes = 0;
    return ioctl(descriptor, SIOCOUTQNSD, &bytes) < 0 ? -errno : bytes;
}

int culvert_unacknowledged(int descriptor) {
    int bytes = 0;
    return ioctl(descriptor, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}

int culvert_peer_has_gone(int descriptor) {
    struct pollfd interest = {.fd = descriptor, .events = POLLRDHUP};
    if (poll(&interest, 1, 0) <= 0) return 0;
    if (interest.revents & (POLLHUP | POLLERR)) return 1;
    int domain = AF_UNIX;
    socklen_t length = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 || domain == AF_UNIX) return 0;
    return (interest.revents & POLLRDHUP) != 0;
}

int culvert_is_reset(int descriptor) {
    struct pollfd interest = {.fd = descriptor, .events = POLLIN};
    return poll(&interest, 1, 0) > 0 && (interest.revents & POLLERR) != 0;
}

// MARK: bytes

// What is no socket is a pipe, a terminal or a file of `culvert -W`: asked as a socket first, so that sockets, which are
// nearly everything, pay for no question.

int64_t culvert_send(int descriptor, const void *bytes, size_t count) {
    int64_t sent = RETRY(send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
    return sent == -ENOTSOCK ? RETRY(write(descriptor, bytes, count)) : sent;
}

int64_t culvert_receive(int descriptor, void *bytes, size_t count) {
    int64_t received = RETRY(recv(descriptor, bytes, count, MSG_DONTWAIT));
    return received == -ENOTSOCK ? RETRY(read(descriptor, bytes, count)) : received;
}

int64_t culvert_receive_slots(int descriptor, void *first, size_t stride, size_t length, size_t last, int slots) {
    if (slots == 1) return culvert_receive(descriptor, first, last);
    struct iovec vector[64];
    if (slots > 64) slots = 64;
    for (int i = 0; i < slots; i++) {
        vector[i].iov_base = (uint8_t *)first + (size_t)i * stride;
        vector[i].iov_len = i == slots - 1 ? last : length;
    }
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = (size_t)slots};
    int64_t received = RETRY(recvmsg(descriptor, &message, MSG_DONTWAIT));
    return received == -ENOTSOCK ? RETRY(readv(descriptor, vector, slots)) : received;
}

int64_t culvert_send_ranges(int descriptor, const culvert_range *ranges, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)ranges, .msg_iovlen = (size_t)count};
    int64_t sent = RETRY(sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
    return sent == -ENOTSOCK ? RETRY(writev(descriptor, message.msg_iov, count)) : sent;
}

int64_t culvert_read(int descriptor, void *bytes, size_t count) { return RETRY(read(descriptor, bytes, count)); }
int64_t culvert_write(int descriptor, const void *bytes, size_t count) { return RETRY(write(descriptor, bytes, count)); }

int culvert_shutdown(int descriptor, int direction) {
    return shutdown(descriptor, direction) < 0 ? -errno : 0;
}

int culvert_duplicate(int descriptor) {
    int result = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    return result < 0 ? -errno : result;
}

int culvert_close(int descriptor) { return close(descriptor) < 0 ? -errno : 0; }

static int milliseconds(int64_t nanoseconds) {
    if (nanoseconds < 0) return -1;
    int64_t value = (nanoseconds + 999999) / 1000000;
    return value > 1000000000 ? 1000000000 : (int)value;
}

int culvert_wait(int descriptor, uint32_t events, int64_t nanoseconds) {
    culvert_interest interest = {descriptor, events, 0};
    int result = culvert_wait_many(&interest, 1, nanoseconds);
    return result <= 0 ? result : (int)interest.ready;
}

int culvert_wait_many(culvert_interest *interests, int count, int64_t nanoseconds) {
    struct pollfd few[64];
    struct pollfd *polled = few;
    if (count > 64) {
        polled = malloc((size_t)count * sizeof *polled);
        if (!polled) culvert_end_without_memory("a list of descriptors");
    }
    for (int i = 0; i < count; i++) {
        polled[i].fd = interests[i].descriptor;
        polled[i].events = (short)interests[i].events;
        polled[i].revents = 0;
    }
    int result = poll(polled, (nfds_t)count, milliseconds(nanoseconds));
    int error = errno;
    for (int i = 0; i < count && result >= 0; i++)
        interests[i].ready = (uint32_t)(unsigned short)polled[i].revents;
    if (polled != few) free(polled);
    if (result < 0) return error == EINTR ? 0 : -error;
    return result;
}
