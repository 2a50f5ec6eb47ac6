#define _GNU_SOURCE 1
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "CLinux.h"
#include "Faults.h"

// sysexits.h's EX_SOFTWARE.
enum { STATUS = 70 };
enum { LONGEST_NAME = 32, LONGEST_LINE = 400 };
// What is read of the stack for a return address into the program, in pieces that are readable or not as a whole.
enum { PIECES = 16, WORDS_A_PIECE = 32 };

static const struct {
    int number;
    const char *name;
} faults[] = {
    {SIGILL, "SIGILL"}, {SIGTRAP, "SIGTRAP"}, {SIGSEGV, "SIGSEGV"},
    {SIGBUS, "SIGBUS"}, {SIGABRT, "SIGABRT"}, {SIGFPE, "SIGFPE"},
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

// Written before the handlers stand.
static char program_name[LONGEST_NAME], program_version[LONGEST_NAME];
static uintptr_t program_base, code_start, code_end;
static _Alignas(16) char first_stack[CULVERT_FAULT_STACK];
// The other place where the line is wanted, -1 for none.
static _Atomic int log_descriptor = -1;
// The thread that ends the process, 0 for none.
static _Atomic int ending_thread;

// MARK: the line, with nothing that is not safe in a signal handler

typedef struct {
    char bytes[LONGEST_LINE];
    size_t count;
} line;

static void add(line *line, const char *text) {
    while (*text != 0 && line->count < sizeof line->bytes) line->bytes[line->count++] = *text++;
}

static void add_hexadecimal(line *line, uintptr_t value) {
    char digits[2 * sizeof value + 1];
    size_t place = sizeof digits - 1;
    digits[place] = 0;
    do {
        digits[--place] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value != 0);
    add(line, "0x");
    add(line, digits + place);
}

static int is_code(uintptr_t address) { return address >= code_start && address < code_end; }

// The innermost return address into the program above the stack pointer, 0 where none is found. The kernel reads, since
// the stack may be what is broken.
static uintptr_t caller(uintptr_t stack) {
    static uintptr_t words[PIECES * WORDS_A_PIECE];
    struct iovec local = {words, sizeof words}, remote[PIECES];
    stack &= ~(uintptr_t)(sizeof(uintptr_t) - 1);
    for (int i = 0; i < PIECES; i++)
        remote[i] = (struct iovec){(void *)(stack + (size_t)i * sizeof words / PIECES), sizeof words / PIECES};
    long count = syscall(SYS_process_vm_readv, getpid(), &local, 1UL, remote, (unsigned long)PIECES, 0UL);
    for (long i = 0; i < count / (long)sizeof words[0]; i++)
        if (is_code(words[i])) return words[i];
    return 0;
}

static void add_place(line *line, const ucontext_t *context) {
#if defined(__x86_64__)
    uintptr_t instruction = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    uintptr_t stack = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    uintptr_t instruction = (uintptr_t)context->uc_mcontext.pc, stack = (uintptr_t)context->uc_mcontext.sp;
#else
#error "which register has the instruction's address?"
#endif
    if (is_code(instruction)) {
        add(line, " at ");
        add_hexadecimal(line, instruction - program_base);
        return;
    }
    add(line, " outside the program");
    uintptr_t address = caller(stack);
    if (address == 0) return;
    add(line, ", called from ");
    add_hexadecimal(line, address - program_base);
}

// A pipe that nobody reads may not keep the process.
static void write_at_once(int descriptor, const line *line) {
    struct pollfd wanted = {descriptor, POLLOUT, 0};
    if (poll(&wanted, 1, 100) != 1 || (wanted.revents & POLLOUT) == 0) return;
    if (write(descriptor, line->bytes, line->count) < 0) return;
}

// Wherever the process says something, it says this, and ends.
static _Noreturn void say_last(const line *line, int status) {
    write_at_once(STDERR_FILENO, line);
    int other = atomic_load(&log_descriptor);
    if (other >= 0) write_at_once(other, line);
    _exit(status);
}

// sysexits.h's EX_OSERR.
enum { WITHOUT_MEMORY = 71 };

_Noreturn void culvert_end_without_memory(const char *what) {
    line line = {.count = 0};
    if (program_name[0] != 0) {
        add(&line, program_name);
        add(&line, ": ");
    }
    add(&line, "no memory for ");
    add(&line, what);
    add(&line, ": look at the limits of address space (ulimit -v) and of the container\n");
    say_last(&line, WITHOUT_MEMORY);
}

// MARK: the handlers

static void end(int number, siginfo_t *information, void *context) {
    (void)information;
    int self = (int)syscall(SYS_gettid), nobody = 0;
    if (!atomic_compare_exchange_strong(&ending_thread, &nobody, self)) {
        // Another thread is at it; a second fault of its own ends it here.
        struct timespec second = {1, 0};
        if (nobody != self) nanosleep(&second, NULL);
        _exit(STATUS);
    }
    line line = {.count = 0};
    add(&line, program_name);
    add(&line, ": ");
    for (int i = 0; i < FAULTS; i++)
        if (faults[i].number == number) add(&line, faults[i].name);
    add_place(&line, context);
    char thread[16] = "";
    prctl(PR_GET_NAME, thread, 0, 0, 0);
    add(&line, " in thread ");
    add(&line, thread);
    add(&line, ", version ");
    add(&line, program_version);
    add(&line, ": this is a fault in ");
    add(&line, program_name);
    add(&line, ": please report it\n");
    say_last(&line, STATUS);
}

static int note_program(struct dl_phdr_info *information, size_t size, void *context) {
    (void)size, (void)context;
    program_base = information->dlpi_addr;
    for (int i = 0; i < information->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &information->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || (header->p_flags & PF_X) == 0) continue;
        code_start = program_base + header->p_vaddr;
        code_end = code_start + header->p_memsz;
    }
    // The program is the first object that is shown.
    return 1;
}

void culvert_fault_stack_use(void *stack) {
    stack_t alternate = {.ss_sp = stack, .ss_size = stack == NULL ? 0 : CULVERT_FAULT_STACK};
    if (stack == NULL) alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, NULL);
}

void culvert_faults_end_at_once(const char *program, const char *version) {
    const char *wish = getenv("CULVERT_BACKTRACE");
    if (wish != NULL && *wish != 0 && strcmp(wish, "0") != 0) return;
    strncpy(program_name, program, sizeof program_name - 1);
    strncpy(program_version, version, sizeof program_version - 1);
    dl_iterate_phdr(note_program, NULL);
    culvert_fault_stack_use(first_stack);
    // Not deferred, so that a fault in the handler comes to it again.
    struct sigaction action = {.sa_sigaction = end, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < FAULTS; i++) {
        sigaction(faults[i].number, &action, NULL);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, faults[i].number);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
}

void culvert_faults_also_to(int descriptor) { atomic_store(&log_descriptor, descriptor); }
