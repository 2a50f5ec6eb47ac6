#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "CLinux.h"

// Above every number that the child's own descriptors get.
enum { ASIDE = 16, VERDICT = 3 };

// In the child, between fork and exec: nothing but calls that are safe after a fork of a process with threads.
// `verdict` follows the pipe that a failure is written to.
static int become(char *const words[], const int streams[3], int *verdict, pid_t parent, uint64_t descriptors) {
    int aside[3];
    for (int i = 0; i < 3; i++) {
        aside[i] = fcntl(streams[i], F_DUPFD_CLOEXEC, ASIDE);
        if (aside[i] < 0) return errno;
    }
    int pipe = fcntl(*verdict, F_DUPFD_CLOEXEC, ASIDE);
    if (pipe < 0) return errno;
    *verdict = pipe;
    for (int i = 0; i < 3; i++) {
        if (dup2(aside[i], i) < 0) return errno;
    }
    if (dup3(pipe, VERDICT, O_CLOEXEC) < 0) return errno;
    *verdict = VERDICT;
    // What culvert itself was started with, too.
    closefrom(VERDICT + 1);
    if (setsid() < 0) return errno;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0) return errno;
    // The parent may have gone before that.
    if (getppid() != parent) return ESRCH;
    struct rlimit limit;
    if (descriptors > 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = descriptors;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int number = 1; number < _NSIG; number++) sigaction(number, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(words[0], words);
    return errno;
}

int culvert_spawn_shell(const char *shell, const char *command, int input, int output, int errors) {
    const int streams[3] = {input, output, errors};
    char *words[] = {(char *)shell, "-c", (char *)command, NULL};
    int verdict[2];
    if (pipe2(verdict, O_CLOEXEC) < 0) return -errno;
    pid_t parent = getpid();
    uint64_t descriptors = culvert_first_descriptor_limit();
    pid_t child = fork();
    if (child == 0) {
        int error = become(words, streams, &verdict[1], parent, descriptors);
        // 127 as shells have it; 126 where not even the failure can be told.
        _exit(write(verdict[1], &error, sizeof error) == sizeof error ? 127 : 126);
    }
    int error = child < 0 ? errno : 0;
    close(verdict[1]);
    if (child > 0) {
        ssize_t count;
        while ((count = read(verdict[0], &error, sizeof error)) < 0 && errno == EINTR) {}
        if (count != sizeof error) error = 0;
        if (error != 0) culvert_child_reap(child);
    }
    close(verdict[0]);
    return error == 0 ? (int)child : -error;
}

int culvert_child_watch(int child) {
    int descriptor = (int)syscall(SYS_pidfd_open, child, 0);
    return descriptor < 0 ? -errno : descriptor;
}

int culvert_child_has_ended(int child) {
    siginfo_t information = {0};
    return waitid(P_PID, (id_t)child, &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_pid == child;
}

int culvert_reap_orphans(void) {
    int count = 0;
    // What another thread has started it waits for itself. Orphans are given to the first thread.
    while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0) count++;
    return count;
}

int culvert_child_reap(int child) {
    int status = 0;
    pid_t result;
    while ((result = waitpid(child, &status, 0)) < 0 && errno == EINTR) {}
    if (result < 0) return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0x100 | WTERMSIG(status);
}
