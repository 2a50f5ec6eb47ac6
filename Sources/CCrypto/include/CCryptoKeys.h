// Private keys of user authentication: read, shown and signed with through libcrypto. Every function wipes what it put
// into memory of its own; what libcrypto holds of a key, it wipes when the key is freed.
#ifndef CCRYPTO_KEYS_H
#define CCRYPTO_KEYS_H
#include <stddef.h>
#include <stdint.h>

// One private key with its public half. Immutable: any thread may sign with it.
typedef struct culvert_key culvert_key;

typedef enum {
    CULVERT_KEY_OTHER = 0,
    CULVERT_KEY_ED25519,
    CULVERT_KEY_P256,
    CULVERT_KEY_P384,
    CULVERT_KEY_P521,
    CULVERT_KEY_RSA,
} culvert_key_kind;

typedef enum {
    CULVERT_KEY_OK = 0,
    CULVERT_KEY_MALFORMED,
    // Encrypted, and no passphrase was given.
    CULVERT_KEY_NEEDS_PASSPHRASE,
    CULVERT_KEY_WRONG_PASSPHRASE,
    // A cipher, a key type or a curve that is not for us.
    CULVERT_KEY_UNSUPPORTED,
    // More rounds of key derivation than CULVERT_KEY_MAXIMUM_ITERATIONS, or more memory than 64 MiB.
    CULVERT_KEY_TOO_COSTLY,
    // The two halves are not of one key.
    CULVERT_KEY_MISMATCH,
} culvert_key_status;

// PBKDF2: OpenSSL's default is 2048 and OWASP asks for 600,000; this takes about 10 seconds.
#define CULVERT_KEY_MAXIMUM_ITERATIONS 10000000

// PEM text: PKCS#1, SEC1 and PKCS#8, encrypted or not. `passphrase` may be null.
culvert_key_status culvert_key_from_pem(
    const void *text, size_t length, const void *passphrase, size_t passphrase_length, culvert_key **key);
// 32 bytes each (RFC 8032 §5.1.5).
culvert_key_status culvert_key_from_ed25519(const void *seed, const void *public_key, culvert_key **key);
// `point` uncompressed (SEC1 §2.3.3), `scalar` big-endian.
culvert_key_status culvert_key_from_ec(
    culvert_key_kind kind, const void *point, size_t point_length, const void *scalar, size_t scalar_length,
    culvert_key **key);

// A big-endian magnitude.
typedef struct {
    const void *bytes;
    size_t length;
} culvert_number;
culvert_key_status culvert_key_from_rsa(
    culvert_number n, culvert_number e, culvert_number d, culvert_number inverse_q, culvert_number p,
    culvert_number q, culvert_key **key);

void culvert_key_free(culvert_key *key);
culvert_key_kind culvert_key_get_kind(const culvert_key *key);
// RSA: length of the modulus.
int culvert_key_get_bits(const culvert_key *key);

// The public half: the 32 bytes of Ed25519, the uncompressed point of an EC key, n of an RSA key. Returns the length,
// or 0 when `capacity` is too small.
size_t culvert_key_public(const culvert_key *key, void *out, size_t capacity);
// e of an RSA key.
size_t culvert_key_exponent(const culvert_key *key, void *out, size_t capacity);

// `digest`: 0 (Ed25519), 256, 384 or 512 bits of SHA-2, 160 of SHA-1. RSA: PKCS #1 v1.5. EC: r ‖ s, each as long as the curve's order,
// big-endian. Returns the length, 0 on failure.
size_t culvert_key_sign(
    const culvert_key *key, int digest, const void *data, size_t length, void *out, size_t capacity);

// One of the ciphers of OpenSSH's key files: chacha20-poly1305@openssh.com, as a packet of sequence number 0 without a length.
// cipher_key: CULVERT_CHACHAPOLY_KEY bytes, of which the second half is for a length. 1: done; 0: the tag is wrong.
int culvert_key_decrypt_chachapoly(
    const void *cipher_key, const void *in, size_t length, const void *tag, void *out);
// The others. `cipher` is libcrypto's name; `tag` is the 16 bytes of an AEAD, or null. 1: done;
// 0: the tag is wrong or the cipher is not there.
int culvert_key_decrypt(
    const char *cipher, const void *cipher_key, const void *iv, const void *in, size_t length, const void *tag,
    void *out);

#endif
