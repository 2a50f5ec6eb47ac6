#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "CLinux.h"

enum { LINE = 3 };

static int argument_count;
static char **arguments;

// glibc gives a constructor what main is given. The Swift runtime asks /proc, which may not be there.
__attribute__((constructor)) static void note_arguments(int count, char **values) {
    argument_count = count;
    arguments = values;
}

const char *culvert_argument(int number) { return number < argument_count ? arguments[number] : NULL; }

static int describe(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int line, int errors) {
    sigset_t all, blocked;
    sigfillset(&all);
    // What a terminal sends goes to its whole group, and what a service manager sends perhaps too: the parent answers it.
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGUSR1);
    int result = posix_spawnattr_setsigdefault(attributes, &all);
    if (result == 0) result = posix_spawnattr_setsigmask(attributes, &blocked);
    if (result == 0) result = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (result == 0) result = posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO);
    if (result == 0) result = posix_spawn_file_actions_adddup2(actions, line, LINE);
    if (result == 0) result = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    if (result == 0) result = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO);
    if (result == 0) result = posix_spawn_file_actions_addclosefrom_np(actions, LINE + 1);
    return result;
}

// The same environment, but for the Swift runtime's word on faults: one that explains them takes half a minute.
static char **environment_of_child(void) {
    static const char name[] = "SWIFT_BACKTRACE=";
    size_t count = 0, kept = 0;
    while (environ && environ[count]) count++;
    char **copy = calloc(count + 2, sizeof *copy);
    if (!copy) return NULL;
    copy[kept++] = "SWIFT_BACKTRACE=enable=no";
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], name, sizeof name - 1) != 0) copy[kept++] = environ[i];
    return copy;
}

int culvert_spawn_anew(const char *path, const char *argument, int line, int errors) {
    char *words[] = {"culvert", (char *)argument, NULL};
    char **environment = environment_of_child();
    if (!environment) return -ENOMEM;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    pid_t child = 0;
    if (result == 0) {
        result = posix_spawnattr_init(&attributes);
        if (result == 0) {
            result = describe(&actions, &attributes, line, errors);
            if (result == 0) result = posix_spawn(&child, path, &actions, &attributes, words, environment);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    free(environment);
    return result == 0 ? (int)child : -result;
}

int culvert_end_with_starter(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0; }

int culvert_limit_address_space(uint64_t bytes) {
    // Every thread with an arena of its own takes 64 MiB of address space, used or not.
    mallopt(M_ARENA_MAX, 2);
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%llu", &pages) != 1) pages = 0;
        fclose(file);
    }
    if (pages * (unsigned long long)sysconf(_SC_PAGESIZE) >= bytes) return 0;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) < 0) return -errno;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > bytes) limit.rlim_cur = bytes;
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > bytes) limit.rlim_max = bytes;
    return setrlimit(RLIMIT_AS, &limit) < 0 ? -errno : 1;
}
