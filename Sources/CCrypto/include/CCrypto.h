// Packet ciphers over libcrypto, and over libipsec-mb where that is found at start: one call a packet, in place.
//
// A handle is the key of one direction of one connection: used by one thread at a time, freed exactly once, and the key
// in it is overwritten then. Nothing here allocates after a handle is made. Functions that can fail return 0 or -1.
#ifndef CCRYPTO_H
#define CCRYPTO_H
#include <stddef.h>
#include <stdint.h>

#include "CCryptoExchange.h"
#include "CCryptoHash.h"
#include "CCryptoKeys.h"
#include "CCryptoLattice.h"
#include "CCryptoSignatures.h"

// Whether the processor has AES instructions (then AES-GCM is preferred to ChaCha20).
int culvert_crypto_has_aes_instructions(void);

// MARK: AES-GCM (RFC 5647)

enum { CULVERT_GCM_TAG = 16, CULVERT_GCM_IV = 12 };

// Who computes it. CULVERT_GCM_BEST is libipsec-mb where it works here, else libcrypto.
enum { CULVERT_GCM_BEST = 0, CULVERT_GCM_LIBCRYPTO = 1, CULVERT_GCM_IPSEC_MB = 2 };

// Whether libipsec-mb was there at build and is there now, for this processor, and computes what it should: known
// answers, and the same as libcrypto for a long text. Found out once; any thread.
int culvert_gcm_has_ipsec_mb(void);

typedef struct culvert_gcm culvert_gcm;

// key_length: 16 or 32 bytes. iv: CULVERT_GCM_IV bytes, 4 fixed ones and the first invocation counter, which counts up
// modulo 2^64 (RFC 5647 7.1). A handle either seals or opens. NULL: no memory, or nobody to compute it.
culvert_gcm *culvert_gcm_new(int provider, int seals, const uint8_t *key, size_t key_length, const uint8_t *iv);
void culvert_gcm_free(culvert_gcm *gcm);

// Ciphers the text in place and writes the tag.
int culvert_gcm_seal(
    culvert_gcm *gcm, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length, uint8_t *tag);
// Deciphers the text in place. -1: the tag is not the one of this text, which is overwritten with zeros.
int culvert_gcm_open(
    culvert_gcm *gcm, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length, const uint8_t *tag);

// MARK: chacha20-poly1305@openssh.com (draft-ietf-sshm-chacha20-poly1305)

enum { CULVERT_CHACHAPOLY_TAG = 16, CULVERT_CHACHAPOLY_KEY = 64 };

typedef struct culvert_chachapoly culvert_chachapoly;

// key: CULVERT_CHACHAPOLY_KEY bytes, K_2 (packet) and then K_1 (length). NULL: no memory, or libcrypto refuses.
culvert_chachapoly *culvert_chachapoly_new(const uint8_t *key);
void culvert_chachapoly_free(culvert_chachapoly *key);

// Deciphers the length of a packet of which at least 4 bytes are there, and leaves them as they are.
int culvert_chachapoly_length(culvert_chachapoly *key, uint32_t sequence, const uint8_t *packet, uint32_t *length);
// packet: the length in clear, `length` bytes of text, room for the tag. Ciphers both in place and writes the tag.
int culvert_chachapoly_seal(culvert_chachapoly *key, uint32_t sequence, uint8_t *packet, size_t length);
// packet: the ciphered length, `length` bytes of text, the tag. Deciphers the text in place. -1: the tag is not the one
// of this packet, which is left as it came.
int culvert_chachapoly_open(culvert_chachapoly *key, uint32_t sequence, uint8_t *packet, size_t length);

// MARK: AES in counter mode (RFC 4344) with HMAC-SHA-2 (RFC 6668)

enum { CULVERT_CTR_BLOCK = 16, CULVERT_CTR_IV = 16 };

typedef struct culvert_ctr culvert_ctr;

// key_length: 16, 24 or 32 bytes. iv: CULVERT_CTR_IV bytes, the first counter. bits: 256 or 512, of the digest; the MAC's
// key and the tag are as long as it. covers_ciphertext: the length stays in the clear, and the MAC is over it and what is
// ciphered (OpenSSH's -etm); otherwise the length is ciphered with the rest, and the MAC is over what it was before (RFC 4253
// 6.4). A handle either seals or opens. NULL: no memory, or libcrypto refuses.
culvert_ctr *culvert_ctr_new(
    const uint8_t *key, size_t key_length, const uint8_t *iv, int bits, const uint8_t *mac_key,
    int covers_ciphertext);
void culvert_ctr_free(culvert_ctr *ctr);

// The length of the packet that is to be opened next, of which 4 bytes are there, or CULVERT_CTR_BLOCK where it is ciphered.
// They stay as they are; asked again, it is the same.
int culvert_ctr_length(culvert_ctr *ctr, const uint8_t *packet, uint32_t *length);
// packet: the length in clear, `length` bytes of text, room for the tag. Ciphers in place and writes the tag.
int culvert_ctr_seal(culvert_ctr *ctr, uint32_t sequence, uint8_t *packet, size_t length);
// packet: the length, `length` bytes of text, the tag. Deciphers in place. -1: the tag is not the one of this packet. Then
// the packet is left as it came where the MAC covers the ciphertext, and is overwritten with zeros otherwise; the handle is of
// no use any more.
int culvert_ctr_open(culvert_ctr *ctr, uint32_t sequence, uint8_t *packet, size_t length);

// MARK: Memory for packets that go out

// A thread keeps as many blocks as this, for its next use; beyond it they are freed, and all of them at its end.
enum { CULVERT_BLOCK_SPARES = 8 };

// A block of `size` bytes, at 64 bytes, with anything in it; every caller asks for the same size. NULL: no memory.
void *culvert_block_take(size_t size);
// Gives it back, on whichever thread. What is in it must be no secret.
void culvert_block_give(void *block);
// Blocks that the calling thread keeps.
unsigned culvert_block_spares(void);

#endif
