#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "CCrypto.h"

int culvert_dh_prime(int bits, uint8_t *prime) {
    BIGNUM *number = bits == 2048   ? BN_get_rfc3526_prime_2048(NULL)
                     : bits == 3072 ? BN_get_rfc3526_prime_3072(NULL)
                     : bits == 4096 ? BN_get_rfc3526_prime_4096(NULL)
                     : bits == 6144 ? BN_get_rfc3526_prime_6144(NULL)
                     : bits == 8192 ? BN_get_rfc3526_prime_8192(NULL)
                                    : NULL;
    int done = number != NULL && BN_bn2binpad(number, prime, bits / 8) == bits / 8;
    BN_free(number);
    return done;
}

int culvert_dh_power(
    const uint8_t *modulus, size_t length, const uint8_t *base, size_t base_length, const uint8_t *exponent,
    size_t exponent_length, uint8_t *out) {
    if (length > CULVERT_DH_MAXIMUM_LENGTH || base_length > length || exponent_length > length) return -1;
    // What it lends is wiped when it goes, as are the tables of the calculation.
    BN_CTX *context = BN_CTX_secure_new();
    BIGNUM *p = BN_bin2bn(modulus, (int)length, NULL), *b = BN_bin2bn(base, (int)base_length, NULL);
    BIGNUM *x = BN_secure_new(), *result = BN_secure_new(), *last = BN_new();
    int done = -1;
    if (context && p && b && x && result && last && BN_bin2bn(exponent, (int)exponent_length, x)
        && BN_sub(last, p, BN_value_one())) {
        BN_set_flags(x, BN_FLG_CONSTTIME);
        BN_set_flags(result, BN_FLG_CONSTTIME);
        if (BN_mod_exp_mont_consttime(result, b, x, p, context, NULL) && BN_bn2binpad(result, out, (int)length) >= 0)
            done = !BN_is_zero(result) && !BN_is_one(result) && BN_cmp(result, last) < 0;
        if (done != 1) OPENSSL_cleanse(out, length);
    }
    BN_clear_free(x);
    BN_clear_free(result);
    BN_free(p);
    BN_free(b);
    BN_free(last);
    BN_CTX_free(context);
    ERR_clear_error();
    return done;
}
