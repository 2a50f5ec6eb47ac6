// libcrypto, and libipsec-mb where it is found at start: one call a packet.
#ifndef CCRYPTO_H
#define CCRYPTO_H
#include <stddef.h>
#include <stdint.h>

#include "CCryptoKeys.h"

// Whether the processor has AES instructions (then AES-GCM is preferred to ChaCha20).
int culvert_crypto_has_aes_instructions(void);

#endif
