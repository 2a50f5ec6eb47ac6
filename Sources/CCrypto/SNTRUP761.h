// The parts of Streamlined NTRU Prime 761 (SNTRUP761.c). Polynomials have SNTRUP_P coefficients, the constant one first, and are
// calculated with modulo x^761 - x - 1. None of these functions branches on a coefficient, or reads memory by one, unless it
// says so; each wipes what it leaves behind.
#ifndef SNTRUP761_H
#define SNTRUP761_H
#include <stdint.h>

enum {
    SNTRUP_P = 761,
    SNTRUP_Q = 4591,
    // How many coefficients of a short polynomial are not 0.
    SNTRUP_W = 286,
    // A small polynomial in bytes: four coefficients each.
    SNTRUP_SMALL = (SNTRUP_P + 3) / 4,
    // A polynomial modulo q whose coefficients are multiples of 3.
    SNTRUP_ROUNDED = 1007,
};

// A coefficient that is -1, 0 or 1.
typedef int8_t sntrup_small;
// A coefficient modulo q, from -(q - 1) / 2 to (q - 1) / 2.
typedef int16_t sntrup_element;

// The number as it is, of which the compiler then knows nothing: what is made with a mask is not made with a branch.
static inline uint64_t sntrup_opaque(uint64_t number) {
    __asm__("" : "+r"(number));
    return number;
}

// All bits 1 where the number is not 0, else 0.
static inline uint64_t sntrup_nonzero(uint32_t number) {
    return sntrup_opaque(0 - (uint64_t)((number | (0 - number)) >> 31));
}

// What is left of a number of at most 2^24 in magnitude, modulo q. Processors take their time to divide: it is multiplied with
// 2^40 / q, rounded up, which is exact for as small a number.
static inline sntrup_element sntrup_reduce(int32_t number) {
    uint32_t raised = (uint32_t)(number + SNTRUP_Q * 4096 + (SNTRUP_Q - 1) / 2);
    uint32_t quotient = (uint32_t)(((uint64_t)raised * 239492840) >> 40);
    return (sntrup_element)((int32_t)(raised - quotient * SNTRUP_Q) - (SNTRUP_Q - 1) / 2);
}

// The same modulo 3, of an element.
static inline sntrup_small sntrup_reduce3(sntrup_element number) {
    uint32_t raised = (uint32_t)(number + (SNTRUP_Q - 1) / 2 + 1);
    return (sntrup_small)(raised - 3 * ((raised * 21846) >> 16)) - 1;
}

// MARK: Arithmetic

// The product. Where both are small no coefficient of it reaches q / 2: it is exact.
void sntrup_multiply(sntrup_element *product, const sntrup_element *element, const sntrup_small *small);
// 1 / (3 small), modulo q; `small` is not 0.
void sntrup_invert3(sntrup_element *inverse, const sntrup_small *small);
// 1 / small, modulo 3. 1: it is there; 0: there is none, and something else is.
int sntrup_invert_small(sntrup_small *inverse, const sntrup_small *small);

// MARK: Sampling, from four random bytes a coefficient

// Any small polynomial.
void sntrup_sample_small(sntrup_small *small, const uint8_t *random);
// One that is short: SNTRUP_W coefficients are -1 or 1.
void sntrup_sample_short(sntrup_small *small, const uint8_t *random);

// MARK: Bytes. What is decoded is no secret, and there are branches on it, but for small polynomials. Any bytes are some.

void sntrup_encode_small(uint8_t *bytes, const sntrup_small *small);
void sntrup_decode_small(sntrup_small *small, const uint8_t *bytes);
// A public key.
void sntrup_encode(uint8_t *bytes, const sntrup_element *element);
void sntrup_decode(sntrup_element *element, const uint8_t *bytes);
// A polynomial whose coefficients are multiples of 3.
void sntrup_encode_rounded(uint8_t *bytes, const sntrup_element *element);
void sntrup_decode_rounded(sntrup_element *element, const uint8_t *bytes);

#endif
