// An SSH server of libssh's that forwards whatever it is asked to, for whoever has the key. A process a connection.
//
// usage: libssh_server PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...   (one key of a kind: libssh takes no more)

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { most_flows = 64, most_listeners = 16, piece = 32768 };

// One connection through one channel. A socket of -1 is nobody's place.
struct flow {
    int socket;
    ssh_channel channel;
    bool is_opening;      // A channel that we asked for, and that the client has not confirmed yet.
    bool has_read_all;    // The socket has said its end, and the client was told.
    bool has_written_all; // The other way round.
    char to_write[piece];
    size_t written, have;
    struct sockaddr_in origin;
    int listener; // Which of the listeners it came from.
};

struct listener {
    int socket;
    char host[256];
    int asked_port, port;
};

static struct flow flows[most_flows];
static struct listener listeners[most_listeners];
static ssh_key known;

static struct sockaddr_in address_of(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static struct flow *begin_flow(int socket)
{
    for (struct flow *flow = flows; flow < flows + most_flows; flow++)
        if (flow->socket < 0) {
            memset(flow, 0, sizeof *flow);
            flow->socket = socket;
            fcntl(socket, F_SETFL, O_NONBLOCK);
            return flow;
        }
    close(socket);
    return NULL;
}

static void end_flow(struct flow *flow)
{
    if (flow->channel != NULL) {
        ssh_channel_close(flow->channel);
        ssh_channel_free(flow->channel);
    }
    close(flow->socket);
    flow->socket = -1;
}

// Returns what ssh_message_callback returns: 0 for a message that was answered.
static int dial(ssh_message message)
{
    struct sockaddr_in target = address_of(
        ssh_message_channel_request_open_destination(message),
        ssh_message_channel_request_open_destination_port(message));
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0)
        return 1;
    if (connect(made, (struct sockaddr *)&target, sizeof target) < 0) {
        close(made);
        return 1;
    }
    struct flow *flow = begin_flow(made);
    if (flow == NULL)
        return 1;
    flow->channel = ssh_message_channel_request_open_reply_accept(message);
    if (flow->channel == NULL)
        end_flow(flow);
    return 0;
}

static int listen_for(ssh_message message)
{
    struct listener *free_one = listeners;
    while (free_one < listeners + most_listeners && free_one->socket >= 0)
        free_one++;
    if (free_one == listeners + most_listeners)
        return 1;
    const char *host = ssh_message_global_request_address(message);
    int port = ssh_message_global_request_port(message), yes = 1;
    struct sockaddr_in address = address_of(host, port);
    socklen_t size = sizeof address;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (made < 0 || bind(made, (struct sockaddr *)&address, size) < 0 || listen(made, 128) < 0
        || getsockname(made, (struct sockaddr *)&address, &size) < 0) {
        close(made);
        return 1;
    }
    free_one->socket = made;
    snprintf(free_one->host, sizeof free_one->host, "%s", host);
    free_one->asked_port = port;
    free_one->port = ntohs(address.sin_port);
    ssh_message_global_request_reply_success(message, (uint16_t)free_one->port);
    return 0;
}

static int listen_no_more(ssh_message message)
{
    const char *host = ssh_message_global_request_address(message);
    int port = ssh_message_global_request_port(message);
    for (struct listener *each = listeners; each < listeners + most_listeners; each++)
        if (each->socket >= 0 && strcmp(each->host, host) == 0 && (each->asked_port == port || each->port == port)) {
            close(each->socket);
            each->socket = -1;
            ssh_message_global_request_reply_success(message, 0);
            return 0;
        }
    return 1;
}

static int on_message(ssh_session session, ssh_message message, void *nothing)
{
    (void)session, (void)nothing;
    int type = ssh_message_type(message), subtype = ssh_message_subtype(message);
    if (type == SSH_REQUEST_CHANNEL_OPEN && subtype == SSH_CHANNEL_DIRECT_TCPIP)
        return dial(message);
    if (type == SSH_REQUEST_GLOBAL && subtype == SSH_GLOBAL_REQUEST_TCPIP_FORWARD)
        return listen_for(message);
    if (type == SSH_REQUEST_GLOBAL && subtype == SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD)
        return listen_no_more(message);
    return 1;
}

static bool is_in;

static int on_key(ssh_session session, const char *user, struct ssh_key_struct *key, char state, void *nothing)
{
    (void)session, (void)user, (void)nothing;
    if (ssh_key_cmp(key, known, SSH_KEY_CMP_PUBLIC) != 0)
        return SSH_AUTH_DENIED;
    if (state == SSH_PUBLICKEY_STATE_VALID)
        is_in = true;
    return state == SSH_PUBLICKEY_STATE_VALID || state == SSH_PUBLICKEY_STATE_NONE ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static void accept_from(ssh_session session, int index)
{
    struct sockaddr_in origin;
    socklen_t size = sizeof origin;
    int made = accept(listeners[index].socket, (struct sockaddr *)&origin, &size);
    struct flow *flow = made < 0 ? NULL : begin_flow(made);
    if (flow == NULL)
        return;
    flow->origin = origin;
    flow->listener = index;
    flow->channel = ssh_channel_new(session);
    flow->is_opening = true;
}

// What can be done for a flow without waiting.
static void carry(struct flow *flow)
{
    if (flow->is_opening) {
        int code = ssh_channel_open_reverse_forward(
            flow->channel, listeners[flow->listener].host, listeners[flow->listener].port,
            inet_ntoa(flow->origin.sin_addr), ntohs(flow->origin.sin_port));
        if (code == SSH_AGAIN)
            return;
        if (code != SSH_OK) {
            end_flow(flow);
            return;
        }
        flow->is_opening = false;
    }
    char data[piece];
    while (!flow->has_read_all) {
        uint32_t window = ssh_channel_window_size(flow->channel);
        ssize_t count = window == 0 ? 0 : recv(flow->socket, data, window < piece ? window : piece, MSG_PEEK);
        if (window == 0 || (count < 0 && errno == EAGAIN))
            break;
        if (count < 0) {
            end_flow(flow);
            return;
        }
        if (count == 0) {
            ssh_channel_send_eof(flow->channel);
            flow->has_read_all = true;
            break;
        }
        // It takes none while keys are exchanged: so only what it took is taken from the socket.
        int taken = ssh_channel_write(flow->channel, data, (uint32_t)count);
        if (taken <= 0)
            break;
        recv(flow->socket, data, (size_t)taken, 0);
    }
    while (!flow->has_written_all) {
        if (flow->written == flow->have) {
            int count = ssh_channel_read_nonblocking(flow->channel, flow->to_write, piece, 0);
            if (count <= 0) {
                if (ssh_channel_is_eof(flow->channel) || ssh_channel_is_closed(flow->channel)) {
                    shutdown(flow->socket, SHUT_WR);
                    flow->has_written_all = true;
                }
                break;
            }
            flow->written = 0;
            flow->have = (size_t)count;
        }
        ssize_t count = send(flow->socket, flow->to_write + flow->written, flow->have - flow->written, MSG_NOSIGNAL);
        if (count < 0 && errno == EAGAIN)
            break;
        if (count < 0) {
            end_flow(flow);
            return;
        }
        flow->written += (size_t)count;
    }
    if ((flow->has_read_all && flow->has_written_all) || ssh_channel_is_closed(flow->channel))
        end_flow(flow);
}

static void serve(ssh_session session)
{
    struct ssh_server_callbacks_struct callbacks = {.auth_pubkey_function = on_key};
    ssh_callbacks_init(&callbacks);
    ssh_set_server_callbacks(session, &callbacks);
    ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_set_message_callback(session, on_message, NULL);
    ssh_event event = ssh_event_new();
    if (ssh_handle_key_exchange(session) != SSH_OK || ssh_event_add_session(event, session) != SSH_OK) {
        fprintf(stderr, "%s\n", ssh_get_error(session));
        return;
    }
    while (!is_in)
        if (ssh_event_dopoll(event, -1) == SSH_ERROR)
            return;
    ssh_set_blocking(session, 0);
    while (ssh_is_connected(session)) {
        struct pollfd waits[1 + most_listeners + most_flows];
        nfds_t count = 0;
        short pending = ssh_get_poll_flags(session) & SSH_WRITE_PENDING ? POLLOUT : 0;
        waits[count++] = (struct pollfd){.fd = ssh_get_fd(session), .events = POLLIN | pending};
        for (int index = 0; index < most_listeners; index++)
            waits[count++] = (struct pollfd){.fd = listeners[index].socket, .events = POLLIN};
        for (struct flow *flow = flows; flow < flows + most_flows; flow++) {
            if (flow->socket < 0 || flow->is_opening)
                continue;
            bool can_send = !flow->has_read_all && ssh_channel_window_size(flow->channel) > 0;
            short events = (can_send ? POLLIN : 0) | (flow->written < flow->have ? POLLOUT : 0);
            if (events != 0)
                waits[count++] = (struct pollfd){.fd = flow->socket, .events = events};
        }
        // libssh may have things to do that no descriptor tells.
        poll(waits, count, 20);
        if (ssh_event_dopoll(event, 0) == SSH_ERROR)
            break;
        for (int index = 0; index < most_listeners; index++)
            if (waits[1 + index].revents & POLLIN)
                accept_from(session, index);
        for (struct flow *flow = flows; flow < flows + most_flows; flow++)
            if (flow->socket >= 0)
                carry(flow);
    }
}

int main(int count, char **words)
{
    if (count < 5) {
        fputs("usage: libssh_server PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...\n", stderr);
        return 64;
    }
    uint64_t rekey = strtoull(words[3], NULL, 10);
    signal(SIGCHLD, SIG_IGN);
    ssh_init();
    ssh_bind doors = ssh_bind_new();
    ssh_bind_options_set(doors, SSH_BIND_OPTIONS_BINDADDR, "127.0.0.1");
    ssh_bind_options_set(doors, SSH_BIND_OPTIONS_BINDPORT_STR, words[1]);
    for (int index = 4; index < count; index++)
        ssh_bind_options_set(doors, SSH_BIND_OPTIONS_HOSTKEY, words[index]);
    if (ssh_pki_import_pubkey_file(words[2], &known) != SSH_OK || ssh_bind_listen(doors) < 0) {
        fprintf(stderr, "%s\n", ssh_get_error(doors));
        return 1;
    }
    for (struct flow *flow = flows; flow < flows + most_flows; flow++)
        flow->socket = -1;
    for (struct listener *each = listeners; each < listeners + most_listeners; each++)
        each->socket = -1;
    fputs("listening\n", stderr);
    while (true) {
        ssh_session session = ssh_new();
        ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &rekey);
        if (ssh_bind_accept(doors, session) == SSH_OK && fork() == 0) {
            ssh_bind_free(doors);
            serve(session);
            ssh_disconnect(session);
            _exit(0);
        }
        ssh_free(session);
    }
}
