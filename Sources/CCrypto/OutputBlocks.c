#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "CCrypto.h"

// What a thread has spare: few, so that they stay in the cache, and the last one given back is lent first.
struct spare {
    unsigned count;
    // Whether the thread's end frees them.
    bool is_watched;
    void *blocks[CULVERT_BLOCK_SPARES];
};

static _Thread_local struct spare spare;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

// Runs at a thread's end; a block that is given back after it has the thread watched again.
static void free_spare(void *argument) {
    struct spare *of_thread = argument;
    while (of_thread->count > 0) free(of_thread->blocks[--of_thread->count]);
    of_thread->is_watched = false;
}

static void make_key(void) { has_key = pthread_key_create(&key, free_spare) == 0; }

static bool watch(void) {
    pthread_once(&once, make_key);
    spare.is_watched = has_key && pthread_setspecific(key, &spare) == 0;
    return spare.is_watched;
}

void *culvert_block_take(size_t size) {
    if (spare.count > 0) return spare.blocks[--spare.count];
    // Whole cache lines, as aligned_alloc wants them.
    return aligned_alloc(64, (size + 63) & ~(size_t)63);
}

void culvert_block_give(void *block) {
    if (spare.count < CULVERT_BLOCK_SPARES && (spare.is_watched || watch())) {
        spare.blocks[spare.count++] = block;
    } else {
        free(block);
    }
}

unsigned culvert_block_spares(void) { return spare.count; }
