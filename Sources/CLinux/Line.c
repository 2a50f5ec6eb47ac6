#define _GNU_SOURCE 1
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "CLinux.h"

// As many as one message of ours ever carries, and one more.
enum { MOST_ATTACHED = 4 };

typedef union {
    char bytes[CMSG_SPACE(MOST_ATTACHED * sizeof(int))];
    struct cmsghdr aligned;
} control;

int culvert_line_pair(int descriptors[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, descriptors) < 0 ? -errno : 0;
}

int culvert_is_line(int descriptor) {
    int domain = 0, type = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0) return 0;
    length = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return 0;
    return domain == AF_UNIX && type == SOCK_SEQPACKET;
}

int64_t culvert_line_send(int descriptor, const void *bytes, size_t count, const int *attached, int attached_count) {
    struct iovec range = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &range, .msg_iovlen = 1};
    control room;
    if (attached_count > MOST_ATTACHED) return -EINVAL;
    if (attached_count > 0) {
        memset(&room, 0, sizeof room);
        message.msg_control = room.bytes;
        message.msg_controllen = CMSG_SPACE((size_t)attached_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)attached_count * sizeof(int));
        memcpy(CMSG_DATA(header), attached, (size_t)attached_count * sizeof(int));
    }
    for (;;) {
        ssize_t sent = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) return sent;
        if (errno != EINTR) return -errno;
    }
}

int64_t culvert_line_receive(int descriptor, void *bytes, size_t capacity, int *attached, int *attached_count) {
    struct iovec range = {.iov_base = bytes, .iov_len = capacity};
    control room;
    struct msghdr message = {
        .msg_iov = &range, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    ssize_t received;
    while ((received = recvmsg(descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
    if (received < 0) return -errno;
    int came = 0;
    // Where no descriptor was free the kernel has left some out.
    int fits = (message.msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int one;
            memcpy(&one, CMSG_DATA(header) + i * sizeof(int), sizeof one);
            if (came < *attached_count) {
                attached[came++] = one;
            } else {
                close(one);
                fits = 0;
            }
        }
    }
    while (!fits && came > 0) close(attached[--came]);
    *attached_count = came;
    if ((message.msg_flags & MSG_TRUNC) == 0) return received;
    while (came > 0) close(attached[--came]);
    return -EMSGSIZE;
}
