// An SSH server of libssh's that forwards whatever it is asked to, for whoever has the key.
//
// usage: libssh_server PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...
//
// A process a connection. libssh carries between a channel and a socket by its connectors.
#include <arpa/inet.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 256

// A connection that is carried, each of its two ends with a descriptor of its own.
struct stream {
    ssh_channel channel;
    ssh_connector in, out;
    int socket, other;
};

// A port that the client asked for.
struct door {
    int socket, port;
    char address[256];
};

static struct stream streams[MOST];
static struct door doors[MOST];
static ssh_session session;
static ssh_event event;
static const char *authorized;

static void die(const char *what) {
    fprintf(stderr, "libssh_server: %s\n", what);
    exit(1);
}

static int dial(const char *host, int port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &found) != 0) return -1;
    int descriptor = socket(found->ai_family, SOCK_STREAM, 0);
    if (descriptor >= 0 && connect(descriptor, found->ai_addr, found->ai_addrlen) != 0) {
        close(descriptor);
        descriptor = -1;
    }
    freeaddrinfo(found);
    return descriptor;
}

static void join(ssh_channel channel, int descriptor) {
    for (int i = 0; i < MOST; i++) {
        struct stream *stream = &streams[i];
        if (stream->channel) continue;
        stream->channel = channel;
        stream->socket = descriptor;
        stream->other = dup(descriptor);
        stream->in = ssh_connector_new(session);
        stream->out = ssh_connector_new(session);
        ssh_connector_set_out_channel(stream->in, channel, SSH_CONNECTOR_STDINOUT);
        ssh_connector_set_in_fd(stream->in, stream->socket);
        ssh_event_add_connector(event, stream->in);
        ssh_connector_set_out_fd(stream->out, stream->other);
        ssh_connector_set_in_channel(stream->out, channel, SSH_CONNECTOR_STDINOUT);
        ssh_event_add_connector(event, stream->out);
        return;
    }
    die("too many connections");
}

// Ends streams whose channel has ended on both sides.
static void sweep(void) {
    for (int i = 0; i < MOST; i++) {
        struct stream *stream = &streams[i];
        if (!stream->channel || !ssh_channel_is_closed(stream->channel)) continue;
        ssh_event_remove_connector(event, stream->in);
        ssh_event_remove_connector(event, stream->out);
        ssh_connector_free(stream->in);
        ssh_connector_free(stream->out);
        ssh_channel_free(stream->channel);
        close(stream->socket);
        close(stream->other);
        stream->channel = NULL;
    }
}

static int accepted(socket_t listener, int events, void *data) {
    struct door *door = data;
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    (void)events;
    int descriptor = accept(listener, (struct sockaddr *)&from, &size);
    if (descriptor < 0) return 0;
    ssh_channel channel = ssh_channel_new(session);
    if (ssh_channel_open_reverse_forward(
            channel, door->address, door->port, inet_ntoa(from.sin_addr), ntohs(from.sin_port)) != SSH_OK) {
        close(descriptor);
        ssh_channel_free(channel);
        return 0;
    }
    join(channel, descriptor);
    return 0;
}

static int open_door(const char *host, int port) {
    for (int i = 0; i < MOST; i++) {
        struct door *door = &doors[i];
        if (door->socket > 0) continue;
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        int on = 1;
        socklen_t size = sizeof address;
        int isAny = host[0] == 0;
        inet_pton(AF_INET, isAny ? "0.0.0.0" : strcmp(host, "localhost") ? host : "127.0.0.1", &address.sin_addr);
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)
            || getsockname(listener, (struct sockaddr *)&address, &size)) {
            close(listener);
            return 0;
        }
        door->socket = listener;
        door->port = ntohs(address.sin_port);
        snprintf(door->address, sizeof door->address, "%s", host);
        ssh_event_add_fd(event, listener, POLLIN, accepted, door);
        return door->port;
    }
    return 0;
}

static int close_door(const char *host, int port) {
    for (int i = 0; i < MOST; i++) {
        struct door *door = &doors[i];
        if (door->socket <= 0 || door->port != port || strcmp(door->address, host)) continue;
        ssh_event_remove_fd(event, door->socket);
        close(door->socket);
        door->socket = 0;
        return 1;
    }
    return 0;
}

// Returns 0 when the message was answered.
static int answer(ssh_session from, ssh_message message, void *data) {
    (void)from;
    (void)data;
    int subtype = ssh_message_subtype(message);
    switch (ssh_message_type(message)) {
    case SSH_REQUEST_SERVICE: return ssh_message_service_reply_success(message);
    case SSH_REQUEST_CHANNEL_OPEN: {
        if (subtype != SSH_CHANNEL_DIRECT_TCPIP) return 1;
        int descriptor = dial(
            ssh_message_channel_request_open_destination(message),
            ssh_message_channel_request_open_destination_port(message));
        if (descriptor < 0) return 1;
        ssh_channel channel = ssh_message_channel_request_open_reply_accept(message);
        if (!channel) {
            close(descriptor);
            return 0;
        }
        join(channel, descriptor);
        return 0;
    }
    case SSH_REQUEST_GLOBAL: {
        const char *host = ssh_message_global_request_address(message);
        int port = ssh_message_global_request_port(message);
        if (subtype == SSH_GLOBAL_REQUEST_TCPIP_FORWARD) {
            int chosen = open_door(host, port);
            return chosen ? ssh_message_global_request_reply_success(message, chosen) : 1;
        }
        if (subtype == SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD && close_door(host, port))
            return ssh_message_global_request_reply_success(message, port);
        return 1;
    }
    default: return 1;
    }
}

static int is_known(ssh_session from, const char *user, ssh_key key, char state, void *data) {
    (void)from;
    (void)user;
    (void)data;
    ssh_key known = NULL;
    if (ssh_pki_import_pubkey_file(authorized, &known) != SSH_OK) return SSH_AUTH_DENIED;
    int isSame = ssh_key_cmp(known, key, SSH_KEY_CMP_PUBLIC) == 0;
    ssh_key_free(known);
    if (!isSame || (state != SSH_PUBLICKEY_STATE_NONE && state != SSH_PUBLICKEY_STATE_VALID)) return SSH_AUTH_DENIED;
    return SSH_AUTH_SUCCESS;
}

static void serve(ssh_bind gate, unsigned long long rekeyBytes) {
    struct ssh_server_callbacks_struct calls = {.auth_pubkey_function = is_known};
    ssh_callbacks_init(&calls);
    ssh_set_server_callbacks(session, &calls);
    ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
    uint64_t bytes = rekeyBytes;
    ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &bytes);
    if (ssh_handle_key_exchange(session) != SSH_OK) die(ssh_get_error(session));
    event = ssh_event_new();
    ssh_set_message_callback(session, answer, NULL);
    ssh_event_add_session(event, session);
    while (ssh_is_connected(session) && ssh_event_dopoll(event, 1000) != SSH_ERROR) sweep();
    ssh_bind_free(gate);
    exit(0);
}

int main(int count, char **words) {
    if (count < 5) die("usage: libssh_server PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...");
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    ssh_init();
    authorized = words[2];
    ssh_bind gate = ssh_bind_new();
    int isOff = 0;
    ssh_bind_options_set(gate, SSH_BIND_OPTIONS_PROCESS_CONFIG, &isOff);
    ssh_bind_options_set(gate, SSH_BIND_OPTIONS_BINDADDR, "127.0.0.1");
    ssh_bind_options_set(gate, SSH_BIND_OPTIONS_BINDPORT_STR, words[1]);
    for (int i = 4; i < count; i++) {
        ssh_key key = NULL;
        if (ssh_pki_import_privkey_file(words[i], NULL, NULL, NULL, &key) != SSH_OK) die(words[i]);
        ssh_bind_options_set(gate, SSH_BIND_OPTIONS_IMPORT_KEY, key);
    }
    if (ssh_bind_listen(gate) != SSH_OK) die(ssh_get_error(gate));
    for (;;) {
        session = ssh_new();
        if (ssh_bind_accept(gate, session) != SSH_OK) die(ssh_get_error(gate));
        if (fork() == 0) serve(gate, strtoull(words[3], NULL, 10));
        ssh_disconnect(session);
        ssh_free(session);
    }
}
