// Polynomials of random bytes, as bytes, and of bytes.
#include <openssl/crypto.h>

#include "SNTRUP761.h"

enum { P = SNTRUP_P, Q = SNTRUP_Q, W = SNTRUP_W, ROUNDED = (Q + 2) / 3 };

// MARK: Sampling

static uint32_t word(const uint8_t *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void sntrup_sample_small(sntrup_small *small, const uint8_t *random) {
    for (int i = 0; i < P; i++)
        small[i] = (sntrup_small)((((word(random + 4 * i) & 0x3fffffff) * 3) >> 30) - 1);
}

static inline void order(uint32_t *less, uint32_t *more) {
    // The upper half of a negative difference is all ones.
    uint32_t swap = (uint32_t)sntrup_opaque(((uint64_t)*more - *less) >> 32);
    uint32_t changed = swap & (*less ^ *more);
    *less ^= changed;
    *more ^= changed;
}

// Batcher's network (Knuth, The Art of Computer Programming 5.2.2, algorithm M): which numbers are compared does not depend on them.
static void sort(uint32_t *numbers) {
    for (int bit = 512; bit > 0; bit /= 2) {
        int distance = bit, residue = 0;
        for (int top = 512;; top /= 2) {
            for (int i = 0; i < P - distance; i++)
                if ((i & bit) == residue) order(numbers + i, numbers + i + distance);
            if (top == bit) break;
            distance = top - bit;
            residue = bit;
        }
    }
}

// Random numbers, whose last two bits become what the coefficients are to be, are sorted.
void sntrup_sample_short(sntrup_small *small, const uint8_t *random) {
    uint32_t numbers[P];
    for (int i = 0; i < W; i++) numbers[i] = word(random + 4 * i) & ~(uint32_t)1;
    for (int i = W; i < P; i++) numbers[i] = (word(random + 4 * i) & ~(uint32_t)2) | 1;
    sort(numbers);
    for (int i = 0; i < P; i++) small[i] = (sntrup_small)((numbers[i] & 3) - 1);
    OPENSSL_cleanse(numbers, sizeof numbers);
}

// MARK: Small polynomials

void sntrup_encode_small(uint8_t *bytes, const sntrup_small *small) {
    for (int i = 0; i < SNTRUP_SMALL; i++) bytes[i] = 0;
    for (int i = 0; i < P; i++) bytes[i / 4] |= (uint8_t)((small[i] + 1) << 2 * (i % 4));
}

void sntrup_decode_small(sntrup_small *small, const uint8_t *bytes) {
    for (int i = 0; i < P; i++) small[i] = (sntrup_small)((bytes[i / 4] >> 2 * (i % 4) & 3) - 1);
}

// MARK: Others
//
// P digits below a radix become one number in mixed radix, neighbours first: two digits are one of the product of their radices,
// whose low bytes go out until the radix of the rest is small. Each round halves the digits; all of a round have one radix, but
// for the last.

enum { ROUNDS = 10, SMALL_RADIX = 1 << 14 };

typedef struct {
    uint32_t radix, last;
    int digits;
} round;

// Bytes that go out of a digit of this radix, and the radix of the rest.
static int low_bytes(uint32_t *radix) {
    int bytes = 0;
    for (; *radix >= SMALL_RADIX; bytes++) *radix = (*radix + 255) >> 8;
    return bytes;
}

// Of an odd number of digits the last has no neighbour, and goes on as it is.
static round next(round now) {
    round then = {now.radix * now.radix, now.digits % 2 ? now.last : now.radix * now.last, (now.digits + 1) / 2};
    low_bytes(&then.radix);
    if (now.digits % 2 == 0) low_bytes(&then.last);
    return then;
}

static void encode(uint8_t *bytes, uint16_t *digits, uint32_t radix) {
    round now = {radix, radix, P};
    for (; now.digits > 1; now = next(now)) {
        for (int i = 0; i + 1 < now.digits; i += 2) {
            uint32_t pair = digits[i] + digits[i + 1] * now.radix;
            uint32_t rest = now.radix * (i + 2 == now.digits ? now.last : now.radix);
            for (int count = low_bytes(&rest); count > 0; count--, pair >>= 8) *bytes++ = (uint8_t)pair;
            digits[i / 2] = (uint16_t)pair;
        }
        if (now.digits % 2) digits[now.digits / 2] = digits[now.digits - 1];
    }
    uint32_t digit = digits[0];
    for (uint32_t rest = now.last; rest > 1; rest = (rest + 255) >> 8, digit >>= 8) *bytes++ = (uint8_t)digit;
}

static void decode(uint16_t *digits, const uint8_t *bytes, uint32_t radix) {
    round rounds[ROUNDS + 1];
    // What the bytes of a round begin with.
    const uint8_t *starts[ROUNDS];
    rounds[0] = (round){radix, radix, P};
    int last = 0;
    for (; rounds[last].digits > 1; last++) {
        round now = rounds[last];
        rounds[last + 1] = next(now);
        starts[last] = bytes;
        for (int i = 0; i + 1 < now.digits; i += 2) {
            uint32_t rest = now.radix * (i + 2 == now.digits ? now.last : now.radix);
            bytes += low_bytes(&rest);
        }
    }
    uint32_t digit = 0;
    int shift = 0;
    for (uint32_t rest = rounds[last].last; rest > 1; rest = (rest + 255) >> 8, shift += 8)
        digit |= (uint32_t)*bytes++ << shift;
    digits[0] = (uint16_t)(digit % rounds[last].last);
    while (last-- > 0) {
        round now = rounds[last];
        // From the end, so that each digit is read before its place is taken.
        const uint8_t *end = starts[last];
        for (int i = 0; i + 1 < now.digits; i += 2) {
            uint32_t rest = now.radix * (i + 2 == now.digits ? now.last : now.radix);
            end += low_bytes(&rest);
        }
        if (now.digits % 2) digits[now.digits - 1] = digits[now.digits / 2];
        for (int i = now.digits / 2 * 2 - 2; i >= 0; i -= 2) {
            uint32_t upper = i + 2 == now.digits ? now.last : now.radix, rest = now.radix * upper;
            uint32_t pair = digits[i / 2];
            for (int count = low_bytes(&rest); count > 0; count--) pair = pair << 8 | *--end;
            digits[i] = (uint16_t)(pair % now.radix);
            digits[i + 1] = (uint16_t)(pair / now.radix % upper);
        }
    }
}

void sntrup_encode(uint8_t *bytes, const sntrup_element *element) {
    uint16_t digits[P];
    for (int i = 0; i < P; i++) digits[i] = (uint16_t)(element[i] + (Q - 1) / 2);
    encode(bytes, digits, Q);
    OPENSSL_cleanse(digits, sizeof digits);
}

void sntrup_decode(sntrup_element *element, const uint8_t *bytes) {
    uint16_t digits[P];
    decode(digits, bytes, Q);
    for (int i = 0; i < P; i++) element[i] = (sntrup_element)(digits[i] - (Q - 1) / 2);
}

void sntrup_encode_rounded(uint8_t *bytes, const sntrup_element *element) {
    uint16_t digits[P];
    // Multiples of 3: over 3, by a multiplication.
    for (int i = 0; i < P; i++) digits[i] = (uint16_t)((uint32_t)(element[i] + (Q - 1) / 2) * 10923 >> 15);
    encode(bytes, digits, ROUNDED);
    OPENSSL_cleanse(digits, sizeof digits);
}

void sntrup_decode_rounded(sntrup_element *element, const uint8_t *bytes) {
    uint16_t digits[P];
    decode(digits, bytes, ROUNDED);
    for (int i = 0; i < P; i++) element[i] = (sntrup_element)(digits[i] * 3 - (Q - 1) / 2);
}
