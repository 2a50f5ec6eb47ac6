#define _GNU_SOURCE 1
#include <errno.h>
#include <stddef.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "CLinux.h"

// By the kernel's own header: libc's has no minimum, and the two cannot stand in one file.
int culvert_round_trip_microseconds(int descriptor, int least) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return -errno;
    size_t needed = offsetof(struct tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt;
    // A minimum of all ones: nothing was measured yet.
    int has_least = length >= needed && info.tcpi_min_rtt != ~0u;
    return (int)(least && has_least ? info.tcpi_min_rtt : info.tcpi_rtt);
}

long long culvert_acknowledged_milliseconds_ago(int descriptor) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return -errno;
    return info.tcpi_last_ack_recv;
}
