// The key encapsulation of Streamlined NTRU Prime 761 (draft-josefsson-ntruprime-streamlined), out of its parts.
#include <openssl/crypto.h>
#include <string.h>

#include "CCrypto.h"
#include "SNTRUP761.h"

enum { P = SNTRUP_P, W = SNTRUP_W, SMALL = SNTRUP_SMALL, ROUNDED = SNTRUP_ROUNDED, HASH = 32 };

// Of a secret key: f, 1 / g, the public key, what a ciphertext that is none leads to, and the hash of the public key.
enum {
    AT_INVERSE = SMALL,
    AT_PUBLIC = AT_INVERSE + SMALL,
    AT_REJECTION = AT_PUBLIC + CULVERT_SNTRUP761_PUBLIC,
    AT_HASH = AT_REJECTION + SMALL,
};

_Static_assert(AT_HASH + HASH == CULVERT_SNTRUP761_SECRET, "a secret key has its five parts");
_Static_assert(ROUNDED + HASH == CULVERT_SNTRUP761_CIPHERTEXT, "a ciphertext is a polynomial and a hash");
_Static_assert(2 * 4 * P + SMALL == CULVERT_SNTRUP761_KEY_RANDOM, "a key is made of g, f and what rejects");

// Half of SHA-512, of a number that says what for, and up to two parts.
static int hash(uint8_t *out, uint8_t purpose, culvert_part first, culvert_part second) {
    uint8_t digest[64];
    culvert_part parts[] = {{&purpose, 1}, first, second};
    int done = culvert_sha2(512, parts, 3, digest) == sizeof digest;
    if (done) memcpy(out, digest, HASH);
    OPENSSL_cleanse(digest, sizeof digest);
    return done;
}

// What is shared: `is_right` is 1, or 0 for what a wrong ciphertext leads to.
static int session(uint8_t *shared, uint8_t is_right, const uint8_t *message, const uint8_t *ciphertext) {
    uint8_t inner[HASH];
    int done = hash(inner, 3, (culvert_part){message, SMALL}, (culvert_part){NULL, 0})
               && hash(shared, is_right, (culvert_part){inner, HASH},
                       (culvert_part){ciphertext, CULVERT_SNTRUP761_CIPHERTEXT});
    OPENSSL_cleanse(inner, sizeof inner);
    return done;
}

// The ciphertext of a short polynomial, and that polynomial in bytes.
static int hide(
    uint8_t *ciphertext, uint8_t *message, const sntrup_small *r, const uint8_t *public_key,
    const uint8_t *public_hash) {
    sntrup_element h[P], product[P];
    uint8_t inner[HASH];
    sntrup_encode_small(message, r);
    sntrup_decode(h, public_key);
    sntrup_multiply(product, h, r);
    for (int i = 0; i < P; i++) product[i] -= sntrup_reduce3(product[i]);
    sntrup_encode_rounded(ciphertext, product);
    int done = hash(inner, 3, (culvert_part){message, SMALL}, (culvert_part){NULL, 0})
               && hash(ciphertext + ROUNDED, 2, (culvert_part){inner, HASH}, (culvert_part){public_hash, HASH});
    OPENSSL_cleanse(product, sizeof product);
    OPENSSL_cleanse(inner, sizeof inner);
    return done;
}

// The short polynomial in a ciphertext; of one that is none, some other.
static void decrypt(sntrup_small *r, const uint8_t *ciphertext, const uint8_t *secret_key) {
    sntrup_small small[P], inverse[P];
    sntrup_element element[P];
    sntrup_decode_small(small, secret_key);
    sntrup_decode_small(inverse, secret_key + AT_INVERSE);
    sntrup_decode_rounded(element, ciphertext);
    // 3 f c modulo q, then modulo 3, then over g.
    sntrup_multiply(element, element, small);
    for (int i = 0; i < P; i++) element[i] = sntrup_reduce3(sntrup_reduce(3 * element[i]));
    sntrup_multiply(element, element, inverse);
    uint32_t weight = 0;
    for (int i = 0; i < P; i++) {
        r[i] = sntrup_reduce3(element[i]);
        weight += r[i] & 1;
    }
    // What is not short becomes what is: 1 in front, 0 behind.
    sntrup_small wrong = (sntrup_small)sntrup_nonzero(weight ^ W);
    for (int i = 0; i < P; i++) r[i] = (sntrup_small)((r[i] & ~wrong) | ((i < W) & wrong));
    OPENSSL_cleanse(small, sizeof small);
    OPENSSL_cleanse(inverse, sizeof inverse);
    OPENSSL_cleanse(element, sizeof element);
}

int culvert_sntrup761_key(const uint8_t *random, uint8_t *public_key, uint8_t *secret_key) {
    sntrup_small g[P], small[P];
    sntrup_element element[P];
    sntrup_sample_small(g, random);
    // Whether there is an inverse is told at the end, and changes nothing of what is done until then.
    int is_there = sntrup_invert_small(small, g);
    sntrup_encode_small(secret_key + AT_INVERSE, small);
    sntrup_sample_short(small, random + 4 * P);
    sntrup_encode_small(secret_key, small);
    // g / (3 f)
    sntrup_invert3(element, small);
    sntrup_multiply(element, element, g);
    sntrup_encode(public_key, element);
    memcpy(secret_key + AT_PUBLIC, public_key, CULVERT_SNTRUP761_PUBLIC);
    memcpy(secret_key + AT_REJECTION, random + 8 * P, SMALL);
    int done = hash(secret_key + AT_HASH, 4, (culvert_part){public_key, CULVERT_SNTRUP761_PUBLIC},
                    (culvert_part){NULL, 0});
    OPENSSL_cleanse(g, sizeof g);
    OPENSSL_cleanse(small, sizeof small);
    OPENSSL_cleanse(element, sizeof element);
    return done ? is_there : -1;
}

int culvert_sntrup761_encapsulate(
    const uint8_t *random, const uint8_t *public_key, uint8_t *ciphertext, uint8_t *shared) {
    sntrup_small r[P];
    uint8_t message[SMALL], public_hash[HASH];
    sntrup_sample_short(r, random);
    int done = hash(public_hash, 4, (culvert_part){public_key, CULVERT_SNTRUP761_PUBLIC}, (culvert_part){NULL, 0})
               && hide(ciphertext, message, r, public_key, public_hash) && session(shared, 1, message, ciphertext);
    if (!done) OPENSSL_cleanse(shared, CULVERT_SNTRUP761_SHARED);
    OPENSSL_cleanse(r, sizeof r);
    OPENSSL_cleanse(message, sizeof message);
    return done ? 1 : -1;
}

int culvert_sntrup761_decapsulate(const uint8_t *secret_key, const uint8_t *ciphertext, uint8_t *shared) {
    sntrup_small r[P];
    uint8_t message[SMALL], again[CULVERT_SNTRUP761_CIPHERTEXT];
    decrypt(r, ciphertext, secret_key);
    int done = hide(again, message, r, secret_key + AT_PUBLIC, secret_key + AT_HASH);
    uint32_t differences = 0;
    for (int i = 0; i < CULVERT_SNTRUP761_CIPHERTEXT; i++) differences |= again[i] ^ ciphertext[i];
    uint8_t wrong = (uint8_t)sntrup_nonzero(differences);
    for (int i = 0; i < SMALL; i++) message[i] ^= wrong & (message[i] ^ secret_key[AT_REJECTION + i]);
    done = done && session(shared, (uint8_t)(1 + wrong), message, ciphertext);
    if (!done) OPENSSL_cleanse(shared, CULVERT_SNTRUP761_SHARED);
    OPENSSL_cleanse(r, sizeof r);
    OPENSSL_cleanse(message, sizeof message);
    OPENSSL_cleanse(again, sizeof again);
    return done ? 1 : -1;
}
