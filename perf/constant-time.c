// Goes through what is calculated with a secret, for memcheck, with every secret marked as undefined: a branch on one, or memory that
// is found by one, is an error then.
//
//     program                 the calculations, and what comes of them
//     program branch|address  does wrong on purpose
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <valgrind/memcheck.h>

#include "CCrypto.h"

enum { PUBLIC = CULVERT_SNTRUP761_PUBLIC, SECRET = CULVERT_SNTRUP761_SECRET, SHARED = CULVERT_SNTRUP761_SHARED };

static void hide(void *bytes, size_t count) { (void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, count); }
static void tell(void *bytes, size_t count) { (void)VALGRIND_MAKE_MEM_DEFINED(bytes, count); }

static void require(int is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "it does not hold that %s\n", what);
    exit(2);
}

static void draw(uint8_t *bytes, size_t count) {
    for (size_t done = 0; done < count; done += 256)
        require(getentropy(bytes + done, count - done < 256 ? count - done : 256) == 0, "the kernel has randomness");
}

// The owner's part of an exchange, of a ciphertext that is right and of some that are none.
static void exchange(void) {
    static uint8_t draws[CULVERT_SNTRUP761_KEY_RANDOM], public_key[PUBLIC], secret_key[SECRET];
    static uint8_t ciphertext[CULVERT_SNTRUP761_CIPHERTEXT], shared[SHARED], own[SHARED];
    int result;
    do {
        draw(draws, sizeof draws);
        hide(draws, sizeof draws);
        result = culvert_sntrup761_key(draws, public_key, secret_key);
        // What goes over the wire, and that these draws are used at all.
        tell(&result, sizeof result);
        tell(public_key, sizeof public_key);
    } while (result == 0);
    require(result == 1, "there is a key");
    // Inside the key, the public one stands between its secrets, and its hash ends it.
    tell(secret_key + 2 * 191, PUBLIC);
    tell(secret_key + SECRET - 32, 32);

    draw(draws, CULVERT_SNTRUP761_CIPHERTEXT_RANDOM);
    hide(draws, CULVERT_SNTRUP761_CIPHERTEXT_RANDOM);
    result = culvert_sntrup761_encapsulate(draws, public_key, ciphertext, shared);
    tell(ciphertext, sizeof ciphertext);
    tell(shared, sizeof shared);
    require(result == 1, "there is a ciphertext");

    require(culvert_sntrup761_decapsulate(secret_key, ciphertext, own) == 1, "a ciphertext is opened");
    tell(own, sizeof own);
    require(memcmp(own, shared, sizeof own) == 0, "both ends share a secret");
    for (int wrong = 0; wrong < 4; wrong++) {
        static uint8_t none[CULVERT_SNTRUP761_CIPHERTEXT];
        memcpy(none, ciphertext, sizeof none);
        switch (wrong) {
        case 0: none[0] ^= 1; break;
        case 1: none[sizeof none - 1] ^= 0x80; break;
        case 2: draw(none, sizeof none); break;
        case 3: memset(none, 0xff, sizeof none); break;
        }
        require(culvert_sntrup761_decapsulate(secret_key, none, own) == 1, "a wrong ciphertext is opened");
        tell(own, sizeof own);
        require(memcmp(own, shared, sizeof own) != 0, "a wrong ciphertext leads to another secret");
    }
}

// So that what is wrong is not left out by the compiler.
volatile int seen;

// What must be found.
static void do_wrong(int by_address) {
    static const uint8_t table[256] = {1, 2, 3};
    uint8_t secret;
    draw(&secret, 1);
    hide(&secret, 1);
    if (by_address)
        seen = table[secret];
    else if (secret & 1)
        seen = 1;
}

int main(int count, char **words) {
    require(RUNNING_ON_VALGRIND, "valgrind runs this");
    if (count > 1) {
        do_wrong(strcmp(words[1], "address") == 0);
    } else {
        for (int i = 0; i < 3; i++) exchange();
    }
    return 0;
}
