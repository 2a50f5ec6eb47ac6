// Counts allocations and Swift's reference counting in a program that it is preloaded into (LD_PRELOAD).
//
// The counters lie in the file that HOTPATH_COUNTERS names, mapped and shared, so another process reads them while the
// program runs; perf/hotpath is that process. Only what the program itself calls through its procedure linkage table is
// seen: calls inside the Swift runtime, and a runtime that is linked in statically, are not. Hence the controls in
// perf/hotpath, which must not be zero.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// In the order of perf/hotpath's list of names.
enum { ALLOCATE, RELEASE_MEMORY, RETAIN, RELEASE, ALLOCATE_OBJECT, BEGIN_ACCESS, KINDS };

static uint64_t before_mapping[KINDS];
static uint64_t *counters = before_mapping;

static inline void count(int kind) { __atomic_fetch_add(&counters[kind], 1, __ATOMIC_RELAXED); }

__attribute__((constructor)) static void map_counters(void) {
    const char *path = getenv("HOTPATH_COUNTERS");
    if (path == NULL) return;
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) return;
    void *memory = mmap(NULL, sizeof before_mapping, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (memory == MAP_FAILED) return;
    for (int kind = 0; kind < KINDS; kind++) ((uint64_t *)memory)[kind] += before_mapping[kind];
    counters = memory;
}

// glibc's own entry points: forwarding with dlsym would allocate.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t size) { count(ALLOCATE); return __libc_malloc(size); }
void *calloc(size_t number, size_t size) { count(ALLOCATE); return __libc_calloc(number, size); }
void *realloc(void *old, size_t size) { count(ALLOCATE); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { count(ALLOCATE); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { count(ALLOCATE); return __libc_memalign(alignment, size); }
void free(void *memory) { count(RELEASE_MEMORY); __libc_free(memory); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    count(ALLOCATE);
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

// The Swift runtime's. The types are wide enough for what is passed in registers; swift_retain and its kin return
// their argument.
#define NEXT(name, type) \
    static __typeof__(type) next; \
    if (next == NULL) next = (__typeof__(type))dlsym(RTLD_NEXT, name)

#define FORWARD_OBJECT(name, kind) \
    void *name(void *object) { \
        count(kind); \
        NEXT(#name, void *(*)(void *)); \
        return next(object); \
    }
#define FORWARD_OBJECT_TIMES(name, kind) \
    void *name(void *object, uint32_t times) { \
        count(kind); \
        NEXT(#name, void *(*)(void *, uint32_t)); \
        return next(object, times); \
    }

FORWARD_OBJECT(swift_bridgeObjectRetain, RETAIN)
FORWARD_OBJECT(swift_bridgeObjectRelease, RELEASE)
FORWARD_OBJECT(swift_retain, RETAIN)
FORWARD_OBJECT(swift_release, RELEASE)
FORWARD_OBJECT(swift_unknownObjectRetain, RETAIN)
FORWARD_OBJECT(swift_unknownObjectRelease, RELEASE)
FORWARD_OBJECT_TIMES(swift_retain_n, RETAIN)
FORWARD_OBJECT_TIMES(swift_release_n, RELEASE)

void *swift_allocObject(void *metadata, size_t size, size_t mask) {
    count(ALLOCATE_OBJECT);
    NEXT("swift_allocObject", void *(*)(void *, size_t, size_t));
    return next(metadata, size, mask);
}

void swift_beginAccess(void *pointer, void *buffer, uintptr_t flags, void *caller) {
    count(BEGIN_ACCESS);
    NEXT("swift_beginAccess", void (*)(void *, void *, uintptr_t, void *));
    next(pointer, buffer, flags, caller);
}
