// Polynomials modulo x^761 - x - 1, with coefficients modulo q and modulo 3.
//
// Inverses are found by division steps (Bernstein and Yang, "Fast constant-time gcd computation and modular inversion"): how many
// there are, and what they touch, is always the same.
#include <openssl/crypto.h>
#include <string.h>

#include "SNTRUP761.h"

enum { P = SNTRUP_P, Q = SNTRUP_Q, STEPS = 2 * SNTRUP_P - 1 };

// Coefficients side by side, in 16 bits all the way: processors have vectors of such for long.
typedef int16_t vector __attribute__((vector_size(16)));
typedef uint16_t unsigned_vector __attribute__((vector_size(16)));
typedef int32_t wide_vector __attribute__((vector_size(32)));

enum { LANES = sizeof(vector) / sizeof(int16_t), ROOM = (P + 1 + LANES - 1) / LANES * LANES };

static inline vector load(const int16_t *place) {
    vector numbers;
    memcpy(&numbers, place, sizeof numbers);
    return numbers;
}

static inline void store(int16_t *place, vector numbers) { memcpy(place, &numbers, sizeof numbers); }

_Static_assert(LANES * ((Q - 1) / 2) < 1 << 15, "a sum of a product for each lane has 16 bits");

void sntrup_multiply(sntrup_element *product, const sntrup_element *element, const sntrup_small *small) {
    struct {
        // With zeros on both sides.
        int16_t element[LANES + ROOM];
        int16_t small[ROOM];
        int32_t sums[2 * ROOM];
    } s;
    memset(&s, 0, sizeof s);
    for (int i = 0; i < P; i++) {
        s.element[LANES + i] = element[i];
        s.small[i] = small[i];
    }
    // As many products as there are lanes have a sum of 16 bits.
    for (int i = 0; i < ROOM; i += LANES) {
        for (int j = 0; j < ROOM; j += LANES) {
            vector partial = {0};
            for (int k = 0; k < LANES; k++)
                partial += load(s.element + LANES + j - k) * ((vector){0} + s.small[i + k]);
            wide_vector sum;
            memcpy(&sum, s.sums + i + j, sizeof sum);
            sum += __builtin_convertvector(partial, wide_vector);
            memcpy(s.sums + i + j, &sum, sizeof sum);
        }
    }
    // x^k = x^(k - 760) + x^(k - 761).
    for (int k = P; k < 2 * P - 1; k++) {
        s.sums[k - P] += s.sums[k];
        s.sums[k - P + 1] += s.sums[k];
    }
    for (int i = 0; i < P; i++) product[i] = sntrup_reduce(s.sums[i]);
    OPENSSL_cleanse(&s, sizeof s);
}

// MARK: Modulo q

// 1 / number, modulo q: number^(q - 2).
static sntrup_element invert_element(sntrup_element number) {
    sntrup_element power = 1;
    for (int bit = 12; bit >= 0; bit--) {
        power = sntrup_reduce((int32_t)power * power);
        if ((Q - 2) >> bit & 1) power = sntrup_reduce((int32_t)power * number);
    }
    return power;
}

static inline vector upper_half(vector a, vector b) {
    return __builtin_convertvector(
        (__builtin_convertvector(a, wide_vector) * __builtin_convertvector(b, wide_vector)) >> 16, vector);
}

// a b / 2^16, modulo q: at most q / 2 + 1 + |a b| / 2^16 in magnitude (Montgomery). 15631 q = 1 modulo 2^16.
static inline vector scaled_product(vector a, vector b) {
    const vector q = (vector){0} + Q;
    vector multiple = (vector)((unsigned_vector)a * (unsigned_vector)b * 15631);
    return upper_half(a, b) - upper_half(multiple, q);
}

// f and g swap where `swap` is all ones; then g becomes a f + b g, of what they were before, over 2^16. Of each at least `count`
// coefficients, in whole vectors.
static void step(int16_t *f, int16_t *g, int16_t *next_g, int16_t a, int16_t b, int16_t swap, int count) {
    const vector all_a = (vector){0} + a, all_b = (vector){0} + b, all_swap = (vector){0} + swap;
    for (int i = 0; i < count; i += LANES) {
        vector old_f = load(f + i), old_g = load(g + i);
        store(f + i, old_f ^ (all_swap & (old_f ^ old_g)));
        store(next_g + i, scaled_product(all_a, old_f) + scaled_product(all_b, old_g));
    }
}

// All stays below 1.21 q in magnitude: with |a|, |b|, |f|, |g| < m, 2 (q / 2 + 1 + m^2 / 2^16) < m. That each step leaves 1 / 2^16
// too much in g and in r alike does no harm: their last quotient is what counts. What whole vectors reach beyond the
// coefficients that count is never looked at.
void sntrup_invert3(sntrup_element *inverse, const sntrup_small *small) {
    struct {
        // g has a place in front: dividing it by x is to write it there.
        int16_t f[ROOM], g[1 + ROOM], r[ROOM];
        // v is multiplied by x in each step: it grows to the front.
        int16_t v[STEPS + ROOM];
    } s;
    memset(&s, 0, sizeof s);
    int16_t *g = s.g + 1;
    // Both polynomials backwards.
    s.f[0] = 1;
    s.f[P - 1] = s.f[P] = -1;
    for (int i = 0; i < P; i++) g[P - 1 - i] = small[i];
    s.r[0] = 1;
    int32_t delta = 1;
    for (int n = 0; n < STEPS; n++) {
        int16_t *v = s.v + STEPS - 1 - n;
        int16_t f0 = s.f[0], g0 = g[0];
        uint64_t is_positive = sntrup_opaque(0 - (uint64_t)((uint32_t)-delta >> 31));
        int16_t swap = (int16_t)(is_positive & sntrup_nonzero((uint32_t)(int32_t)sntrup_reduce(g0)));
        delta = (delta ^ swap) - swap + 1;
        // f0 g - g0 f, and the negative of it where they swap.
        int16_t a = (int16_t)((-g0 ^ swap) - swap), b = (int16_t)((f0 ^ swap) - swap);
        // What further steps can bring to the front, and what earlier ones can have filled.
        step(s.f, g, g - 1, a, b, swap, STEPS - n < P + 1 ? STEPS - n : P + 1);
        step(v, s.r, s.r, a, b, swap, n < P ? n + 1 : P + 1);
    }
    sntrup_element scale = invert_element(sntrup_reduce(3 * s.f[0]));
    for (int i = 0; i < P; i++) inverse[i] = sntrup_reduce((int32_t)scale * s.v[P - 1 - i]);
    OPENSSL_cleanse(&s, sizeof s);
}

// MARK: Modulo 3

enum { WORDS = (P + 1 + 63) / 64 };

// Coefficients as bits: where one is 1, and where it is -1.
typedef struct {
    uint64_t plus[WORDS], minus[WORDS];
} ternary;

static void set(ternary *polynomial, unsigned place, int coefficient) {
    polynomial->plus[place / 64] |= (uint64_t)(coefficient > 0) << place % 64;
    polynomial->minus[place / 64] |= (uint64_t)(coefficient < 0) << place % 64;
}

// f and g swap where `swap` is all ones; then f, times 1 or -1 where `plus` or `minus` is all ones, is added to g.
static inline void step3(ternary *f, ternary *g, uint64_t plus, uint64_t minus, uint64_t swap) {
    for (int i = 0; i < WORDS; i++) {
        uint64_t changed = swap & (f->plus[i] ^ g->plus[i]);
        uint64_t f_plus = f->plus[i] ^ changed, g_plus = g->plus[i] ^ changed;
        changed = swap & (f->minus[i] ^ g->minus[i]);
        uint64_t f_minus = f->minus[i] ^ changed, g_minus = g->minus[i] ^ changed;
        f->plus[i] = f_plus;
        f->minus[i] = f_minus;
        uint64_t a_plus = (f_plus & plus) | (f_minus & minus), a_minus = (f_minus & plus) | (f_plus & minus);
        uint64_t a_zero = ~(a_plus | a_minus), g_zero = ~(g_plus | g_minus);
        g->plus[i] = (g_plus & a_zero) | (a_plus & g_zero) | (a_minus & g_minus);
        g->minus[i] = (g_minus & a_zero) | (a_minus & g_zero) | (a_plus & g_plus);
    }
}

static void divide_by_x(uint64_t *bits) {
    for (int i = 0; i < WORDS - 1; i++) bits[i] = bits[i] >> 1 | bits[i + 1] << 63;
    bits[WORDS - 1] >>= 1;
}

static void multiply_by_x(uint64_t *bits) {
    for (int i = WORDS - 1; i > 0; i--) bits[i] = bits[i] << 1 | bits[i - 1] >> 63;
    bits[0] <<= 1;
}

int sntrup_invert_small(sntrup_small *inverse, const sntrup_small *small) {
    struct {
        ternary f, g, v, r;
    } s;
    memset(&s, 0, sizeof s);
    set(&s.f, 0, 1);
    set(&s.f, P - 1, -1);
    set(&s.f, P, -1);
    for (int i = 0; i < P; i++) set(&s.g, P - 1 - i, small[i]);
    set(&s.r, 0, 1);
    int32_t delta = 1;
    for (int n = 0; n < STEPS; n++) {
        multiply_by_x(s.v.plus);
        multiply_by_x(s.v.minus);
        uint64_t same = (s.f.plus[0] & s.g.plus[0]) | (s.f.minus[0] & s.g.minus[0]);
        uint64_t opposite = (s.f.plus[0] & s.g.minus[0]) | (s.f.minus[0] & s.g.plus[0]);
        // f0 is never 0: g0 is one or the other where it is not.
        uint64_t minus = sntrup_opaque(0 - (same & 1)), plus = sntrup_opaque(0 - (opposite & 1));
        uint64_t swap = sntrup_opaque(0 - (uint64_t)((uint32_t)-delta >> 31)) & (plus | minus);
        delta = (delta ^ (int32_t)swap) - (int32_t)swap + 1;
        step3(&s.f, &s.g, plus, minus, swap);
        step3(&s.v, &s.r, plus, minus, swap);
        divide_by_x(s.g.plus);
        divide_by_x(s.g.minus);
    }
    int32_t sign = (int32_t)(s.f.plus[0] & 1) - (int32_t)(s.f.minus[0] & 1);
    for (int i = 0; i < P; i++) {
        unsigned place = P - 1 - i;
        int32_t plus = s.v.plus[place / 64] >> place % 64 & 1, minus = s.v.minus[place / 64] >> place % 64 & 1;
        inverse[i] = (sntrup_small)(sign * (plus - minus));
    }
    OPENSSL_cleanse(&s, sizeof s);
    return delta == 0;
}
